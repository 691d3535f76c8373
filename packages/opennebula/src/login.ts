import { OneFlowerError } from '@oneflower/contract';

/** What the login is read from: handed in, so that nothing here touches the machine. */
export interface LoginSources {
  env: Readonly<Record<string, string | undefined>>;
  homeDirectory: string;
  /** The text of a file; undefined when there is none; throws when it cannot be read. */
  readFile(path: string): Promise<string | undefined>;
}

/** Where a cloud is and who calls. `session` is `user:password` (or `user:token`): secret. */
export interface CloudLogin {
  /** Address of oned's XML-RPC. */
  endpoint: string;
  oneflowUrl: string;
  user: string;
  session: string;
}

const DEFAULT_ENDPOINT = 'http://localhost:2633/RPC2';
const DEFAULT_ONEFLOW_URL = 'http://localhost:2474';

/**
 * Endpoint and login as the stock clients find them: ONE_XMLRPC, else `~/.one/one_endpoint`, else oned on this machine;
 * ONEFLOW_URL, else OneFlow on this machine; the login from the file that ONE_AUTH names, else `~/.one/one_auth`.
 *
 * @throws OneFlowerError `login-missing`, `login-unreadable`, `login-malformed`, `endpoint-malformed`
 */
export async function readLogin(sources: LoginSources): Promise<CloudLogin> {
  const { env, homeDirectory } = sources;
  const endpoint = env.ONE_XMLRPC?.trim() || (await readEndpointFile(sources)) || DEFAULT_ENDPOINT;
  const oneflowUrl = env.ONEFLOW_URL?.trim() || DEFAULT_ONEFLOW_URL;
  assertUrl('ONE_XMLRPC', endpoint);
  assertUrl('ONEFLOW_URL', oneflowUrl);
  const path = env.ONE_AUTH?.trim() || `${homeDirectory}/.one/one_auth`;
  const session = await readSession(sources, path);
  return { endpoint, oneflowUrl, session, user: session.slice(0, session.indexOf(':')) };
}

async function readEndpointFile({ readFile, homeDirectory }: LoginSources): Promise<string | undefined> {
  const text = await readFile(`${homeDirectory}/.one/one_endpoint`).catch(() => undefined);
  return text?.trim();
}

async function readSession({ readFile }: LoginSources, path: string): Promise<string> {
  const text = await readFile(path).catch((cause: unknown) => {
    throw loginError('unreadable', `The login file ${path} cannot be read.`, 'Its rights do not allow it.', cause);
  });
  if (text === undefined) {
    throw loginError(
      'missing',
      `There is no login: the file ${path} does not exist.`,
      'ONE_AUTH is not set, or names a file that is not there.',
    );
  }
  const session = text.trim();
  if (/^[^:\s]+:\S[^\r\n]*$/.test(session)) return session;
  const reason = session === '' ? 'The file is empty.' : 'It must hold one line of the form user:password.';
  throw loginError('malformed', `The login file ${path} holds no login.`, reason);
}

function loginError(what: string, message: string, reason: string, cause?: unknown): OneFlowerError {
  return new OneFlowerError({
    code: `login-${what}`,
    message,
    reason,
    remedy:
      'Write user:password into ~/.one/one_auth (readable by you alone), or set ONE_AUTH to the path of such a file.',
    fault: 'user',
    cause,
  });
}

function assertUrl(variable: string, value: string): void {
  const url = URL.parse(value);
  if (url && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '') return;
  throw new OneFlowerError({
    code: 'endpoint-malformed',
    message: `${variable} is no address of a server.`,
    reason: 'It is no http or https URL, or it carries a login, which belongs into the login file.',
    remedy: `Set it to an http or https URL, for example ${variable === 'ONE_XMLRPC' ? DEFAULT_ENDPOINT : DEFAULT_ONEFLOW_URL}.`,
    fault: 'user',
  });
}
