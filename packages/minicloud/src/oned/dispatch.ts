import { messageOf } from '@oneflower/contract';
import type { XmlRpcValue } from '@oneflower/opennebula';
import type { OnedAnswer } from '../interfaces.ts';
import { hasNonBmp, hasNotXml, nonBmpReason } from './characters.ts';
import { errno, FaultError, RequestError } from './errors.ts';
import { checkArguments, type Methods } from './methods.ts';
import type { Caller } from './model.ts';
import { introspect } from './system.ts';

/** A full or failing disk. */
function isOfTheStateFile(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_SQLITE_ERROR';
}

function answerOf(name: string, error: unknown): OnedAnswer {
  if (error instanceof RequestError) {
    return { ok: false, message: `[${name}] ${error.message}`, errno: error.errno, objectId: error.objectId };
  }
  if (error instanceof FaultError) return { ok: false, message: error.message, errno: error.code, objectId: -1 };
  // No fault of the caller's. The request has changed nothing.
  const what = isOfTheStateFile(error) ? 'Cannot write the state' : 'Internal error';
  return { ok: false, message: `[${name}] ${what}: ${messageOf(error)}.`, errno: errno.internal, objectId: -1 };
}

function crash(reason: string): FaultError {
  const where = 'detected by Xmlrpc-c method registry code.  Method did not fail; rather, it did not complete at all.';
  return new FaultError(-500, `Unexpected error executing code for particular method, ${where}  ${reason}`);
}

/** Refuses what the library's XML parser refuses, for calls that come without XML around them. */
function checkCharacters(text: string): void {
  const improper = 'Call XML not a proper XML-RPC call.';
  if (hasNonBmp(text)) throw new FaultError(-503, `${improper}  ${nonBmpReason(text)}`);
  if (!hasNotXml(text)) return;
  const why = "Problem with token at '...': not well-formed (invalid token)";
  throw new FaultError(-503, `${improper}  Call is not valid XML.  Invalid XML "content".  ${why}`);
}

interface Dispatcher {
  methods: Methods;
  authenticate(session: string): Caller | undefined;
  /** Runs one request as one transaction. */
  transaction<R>(work: () => R): R;
  /** Told of what is not an answer to bad input. */
  onError(error: unknown): void;
}

function run(dispatcher: Dispatcher, name: string, params: readonly XmlRpcValue[]): XmlRpcValue {
  const { methods } = dispatcher;
  for (const value of params) if (typeof value === 'string') checkCharacters(value);
  const introspected = introspect(methods, name, params);
  if (introspected !== undefined) return introspected;
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
  if (!method) throw new FaultError(-506, `Method '${name}' not defined`);
  const [session, ...rest] = params;
  if (session === undefined) throw crash('Subscript of xmlrpc_c::paramList out of bounds');
  const caller = typeof session === 'string' ? dispatcher.authenticate(session) : undefined;
  if (!caller) throw new RequestError(errno.authentication, "User couldn't be authenticated, aborting call.");
  const args = checkArguments(method, rest);
  const value = dispatcher.transaction(() => method.run(caller, args));
  if (typeof value === 'string' && hasNonBmp(value)) throw crash(nonBmpReason(value));
  return value;
}

/** One call. Bad input is an answer; a negative `errno` is a fault. */
export function dispatch(dispatcher: Dispatcher, name: string, params: readonly XmlRpcValue[]): OnedAnswer {
  try {
    return { ok: true, value: run(dispatcher, name, params) };
  } catch (error) {
    if (!(error instanceof RequestError || error instanceof FaultError)) dispatcher.onError(error);
    return answerOf(name, error);
  }
}
