import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerCall, type Callable } from './wire.ts';

/** oned's XML-RPC server. */
export interface OnedServer {
  /** Listens; port 0 takes a free one. Returns the port. Rejects when the address is taken. */
  listen(port: number, host: string): Promise<number>;
  close(): Promise<void>;
}

/** Bytes of a request that are read; a template of the largest accepted size fits in several times. */
const longestBody = 64 * 1024 * 1024;
const serverName = 'Xmlrpc-c_Abyss/1.33.14';

const reasons: Record<number, string> = {
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  411: 'Length Required',
  413: 'Request Entity Too Large',
};

/** The Date header in oned's form: it says UTC where HTTP says GMT. */
function dateHeader(now: number): string {
  return new Date(now).toUTCString().replace('GMT', 'UTC');
}

function headers(now: number, type: string, length?: number): string[] {
  return [
    ...['Content-type', type],
    ...(length === undefined ? [] : ['Content-length', String(length)]),
    ...['Connection', 'close'],
    ...['Date', dateHeader(now)],
    ...['Server', serverName],
  ];
}

/** A refusal of the transport: a small page of HTML, ended by the end of the connection. */
function refuse(response: ServerResponse, now: number, status: number, why: string): void {
  const name = '<a href="http://xmlrpc-c.sourceforge.net">ABYSS Web Server for XML-RPC For C/C++</a>';
  const head = `<HTML><HEAD><TITLE>Error ${status}</TITLE></HEAD><BODY><H1>Error ${status}</H1><P>${why}</P>`;
  response.useChunkedEncodingByDefault = false;
  response.sendDate = false;
  response.writeHead(status, reasons[status] ?? '', headers(now, 'text/html'));
  response.end(`${head}<p><HR><b><i>${name}</i></b> version 1.33.14<br></p></BODY></HTML>`);
}

/** Why a request is refused before its body is read. */
function objection(request: IncomingMessage): { status: number; why: string } | undefined {
  if (request.method !== 'POST') return { status: 405, why: 'POST is the only HTTP method this server understands' };
  const path = request.url ?? '';
  if (path !== '/RPC2') {
    const shown = path.replace(/[<>&"']/g, '');
    return {
      status: 404,
      why: `This XML-RPC For C/C++ Abyss XML-RPC server responds to only one URI path.  I don't know what URI path that is, but it's not the one you requested: '${shown}'.  (Typically, it's '/RPC2')`,
    };
  }
  const length = request.headers['content-length'];
  if (length === undefined) {
    return { status: 411, why: 'You must send a content-length HTTP header in an XML-RPC call.' };
  }
  if (Number(length) === 0) {
    const why = 'According to your content-length HTTP header, your request is empty (zero length)';
    return { status: 400, why };
  }
  if (Number(length) > longestBody) return { status: 413, why: 'The request is too large' };
  return undefined;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}

async function answer(oned: Callable, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const refused = objection(request);
  if (refused) {
    refuse(response, oned.now(), refused.status, refused.why);
    return;
  }
  if (request.headers.expect?.toLowerCase() === '100-continue') request.socket.write('HTTP/1.1 100 continue\r\n\r\n');
  const body = Buffer.from(answerCall(oned, await readBody(request)), 'utf8');
  response.sendDate = false;
  response.writeHead(200, 'OK', headers(oned.now(), 'text/xml; charset=utf-8', body.length));
  response.end(body);
}

/** Makes the server for `POST /RPC2`. Each connection carries one call, as with the real one. */
export function createOnedServer(oned: Callable, onFault: (error: unknown) => void = () => undefined): OnedServer {
  function handle(request: IncomingMessage, response: ServerResponse): void {
    answer(oned, request, response).catch((error: unknown) => {
      onFault(error);
      response.destroy();
    });
  }
  const server: Server = createServer(handle);
  server.on('checkContinue', handle);
  return {
    async listen(port, host) {
      server.listen(port, host);
      await once(server, 'listening');
      return (server.address() as AddressInfo).port;
    },
    async close() {
      if (!server.listening) return;
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
