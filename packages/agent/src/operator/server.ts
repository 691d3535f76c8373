import https from 'node:https';
import { type Clock, systemClock } from '@oneflower/contract';
import { createAttempts } from '../gate/attempts.ts';
import { createHttpServer, defaultLimits, secureContext } from '../gate/http-server.ts';
import type { HttpRequest, HttpResponse } from '../gate/index.ts';
import { closeServer, listenOn } from '../gate/listening.ts';
import { createHttpPass } from '../gate/pass-http.ts';
import { answerFailure, refusal } from './answers.ts';
import { serve } from './routes.ts';
import type { OperatorApi, OperatorApiOptions } from './types.ts';

const flowerControl = /^\/v1\/control\/[a-z-]+$/;

/**
 * The operator API of a SuperLink. Every call needs the operator's token, of which this VM knows the hash alone; with
 * it, Flower's Control API can be asked too, which has no credentials of its own.
 */
export function createOperatorApi(options: OperatorApiOptions, clock: Clock = systemClock): OperatorApi {
  const warn = options.warn ?? (() => undefined);
  const attempts = createAttempts(clock);
  let pass = createHttpPass(options.flowerControl, ['authorization']);

  function assertAllowed(request: HttpRequest): void {
    const { tokenHash = '' } = options;
    if (!/^[0-9a-f]{64}$/i.test(tokenHash)) {
      throw refusal('no-token', 'Nobody may ask: this SuperLink knows no operator token.', noTokenRemedy);
    }
    const verdict = attempts.judge(request, tokenHash);
    if (verdict === 'wrong')
      throw refusal('token-refused', 'The operator token is missing or not the one of this service.');
    if (verdict === 'wrong-again') throw refusal('too-many-wrong-tokens', tooMany, tooManyRemedy);
  }

  async function handle(request: HttpRequest, response: HttpResponse): Promise<void> {
    assertAllowed(request);
    if (flowerControl.test(request.url ?? '')) pass.handle(request, response);
    else await serve(request, response, options.source);
  }

  const server = createHttpServer(options.tls, defaultLimits, (request, response) => {
    response.on('error', () => undefined);
    handle(request, response).catch(error => answerFailure(response, error, warn));
  });
  server.maxConnections = defaultLimits.connections;
  return {
    listen: () => listenOn(server, options.listen),
    reloadTls(tls, upstreamCaPem) {
      if (server instanceof https.Server) server.setSecureContext(secureContext(tls));
      if (upstreamCaPem === undefined || upstreamCaPem === options.flowerControl.caPem) return;
      pass = createHttpPass({ ...options.flowerControl, caPem: upstreamCaPem }, ['authorization']);
    },
    async close() {
      await closeServer(server, clock);
      pass.close();
    },
  };
}

const tooMany = 'The operator token is refused: too many wrong ones came from this address.';
const tooManyRemedy = 'Check the token; where it is right, wait a minute.';
const noTokenRemedy = 'Deploy with oneflower, or set FL_OPERATOR_TOKEN_HASH to the SHA-256 of a token.';
