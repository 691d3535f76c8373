import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';

/** Headers that are between two neighbours and never passed on (RFC 9110, 7.6.1), and those a client could forge. */
const dropped: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-prefix',
]);

/** What of a message's headers goes on to the other side. HTTP/2's pseudo headers do not. */
export function passedOn(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const named = new Set(
    (headers.connection ?? '')
      .toLowerCase()
      .split(',')
      .map(name => name.trim()),
  );
  const kept = Object.entries(headers).filter(
    ([name]) => !name.startsWith(':') && !dropped.has(name) && !named.has(name) && name !== 'host',
  );
  return Object.fromEntries(kept);
}
