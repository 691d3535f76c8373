import { CloudFailure, type FailureKind } from '../failure.ts';
import type { XmlRpcFault } from '../xmlrpc/index.ts';

/** Error numbers of oned. 8192 (internal) is also the answer to a template that does not parse and to a taken name. */
const KIND_OF_ERRNO: Readonly<Record<number, FailureKind>> = {
  256: 'unauthenticated',
  512: 'forbidden',
  1024: 'not-found',
  2048: 'refused',
  4096: 'refused',
  8192: 'refused',
  16384: 'refused',
  32768: 'locked',
  65536: 'crashed',
};

/** A call that oned refused: `[false, message, errno, object id or -1, -1]`. */
export function onedRefusal(call: string, words: string, errno: number): CloudFailure {
  return new CloudFailure({ server: 'oned', call, kind: kindOf(words, errno), words, errno });
}

function kindOf(words: string, errno: number): FailureKind {
  if (errno === 512 && / is locked\b/.test(words)) return 'locked';
  if (errno === 2048 && /not available for state/.test(words)) return 'wrong-state';
  return KIND_OF_ERRNO[errno] ?? 'crashed';
}

/** A fault of the XML-RPC library: -501 and -503 are our request, -506 an unknown method, -500 a crash. */
export function onedFault(call: string, fault: XmlRpcFault): CloudFailure {
  const kind = fault.code === -500 ? 'crashed' : 'refused';
  return new CloudFailure({ server: 'oned', call, kind, words: fault.message, errno: fault.code });
}
