import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { KeyPair } from './issue.ts';
import type { CertificateName } from './types.ts';

/** What is to be issued: a CA, or a server certificate under one. */
export type Order =
  | { kind: 'ca'; now: number }
  | { kind: 'leaf'; ca: KeyPair; names: readonly CertificateName[]; now: number };

/** What became of an order. */
export type Issued = { pair: KeyPair } | { error: string };

/** Issues certificates until it is closed. */
export interface Issuer {
  issue(order: Order): Promise<KeyPair>;
  close(): void;
}

/** Argument that makes an agent's program an issuing process. */
export const issuingArgument = 'issue-certificates';

/** In the bundle the program is the agent's own file. */
const program = fileURLToPath(
  import.meta.url.endsWith('.ts') ? new URL('../main.ts', import.meta.url) : import.meta.url,
);

/**
 * An issuer in a process of its own, started at the first order: the libraries that issuing needs take 10 MB, which the
 * agent would hold for as long as it lives for the sake of half a second a year. Keys go through a pipe alone.
 */
export function createIssuer(): Issuer {
  let issuing: ChildProcess | undefined;
  return {
    async issue(order) {
      issuing ??= fork(program, [issuingArgument], { execArgv: [], serialization: 'advanced', env: {} });
      const answered = once(issuing, 'message') as Promise<[Issued]>;
      const ended = once(issuing, 'exit').then(([code, signal]) => {
        throw new Error(`the process that issues them ended with ${signal ?? code}`);
      });
      // It also ends when all is done.
      ended.catch(() => undefined);
      issuing.send(order);
      const [made] = await Promise.race([answered, ended]);
      if ('error' in made) throw new Error(made.error);
      return made.pair;
    },
    close() {
      if (issuing?.connected) issuing.disconnect();
    },
  };
}
