import { type Fault, OneFlowerError } from '@oneflower/contract';

/** The three servers of OpenNebula that OneFlower talks to. */
export type CloudServer = 'oned' | 'oneflow' | 'onegate';

/**
 * What went wrong, one kind per cause:
 * - `unreachable` no connection; nothing was sent
 * - `interrupted` the connection broke after it was made; the request may have been carried out
 * - `timeout` no answer within the deadline; the request may have been carried out
 * - `garbled` an answer, but not one of OpenNebula
 * - `unauthenticated` login or token refused
 * - `forbidden` logged in, but not allowed (permission, quota, restricted attribute)
 * - `not-found` no such object
 * - `locked` somebody holds a lock on the object
 * - `wrong-state` not possible in the present state
 * - `refused` the values are not acceptable, or the action is not possible
 * - `crashed` the server failed inside
 */
export type FailureKind =
  | 'unreachable'
  | 'interrupted'
  | 'timeout'
  | 'garbled'
  | 'unauthenticated'
  | 'forbidden'
  | 'not-found'
  | 'locked'
  | 'wrong-state'
  | 'refused'
  | 'crashed';

export interface FailureParts {
  server: CloudServer;
  /** The call: `one.vm.info`, or `GET /service/53`. */
  call: string;
  kind: FailureKind;
  /** What the server said, shortened; empty when it said nothing. */
  words?: string;
  /** XML-RPC error number or fault code. */
  errno?: number;
  /** HTTP status. */
  status?: number;
  /** Whether the same call may succeed later with nothing changed. */
  transient?: boolean;
  cause?: unknown;
}

const SERVER_NAMES: Readonly<Record<CloudServer, string>> = {
  oned: 'OpenNebula',
  oneflow: 'OneFlow',
  onegate: 'OneGate',
};
const MAX_WORDS = 600;

interface Explanation {
  reason: string;
  remedy: string;
  fault: Fault;
  transient: boolean;
}

const EXPLANATIONS: Readonly<Record<FailureKind, Explanation>> = {
  unreachable: {
    reason: 'Nothing answers at the address.',
    remedy: 'Check that the server runs and that the endpoint is right.',
    fault: 'environment',
    transient: true,
  },
  interrupted: {
    reason: 'The connection broke before the answer was complete; the request may have been carried out.',
    remedy: 'Look at the present state before you repeat it.',
    fault: 'environment',
    transient: true,
  },
  timeout: {
    reason: 'The server is overloaded or hangs; the request may have been carried out.',
    remedy: 'Look at the present state before you repeat it.',
    fault: 'environment',
    transient: true,
  },
  garbled: {
    reason: 'Another program answers at the address, or something in between changed the answer.',
    remedy: 'Check the endpoint and any proxy in between.',
    fault: 'environment',
    transient: false,
  },
  unauthenticated: {
    reason: 'User, password or token are wrong or expired.',
    remedy: 'Check the login (ONE_AUTH or ~/.one/one_auth).',
    fault: 'user',
    transient: false,
  },
  forbidden: {
    reason: 'The user has no right to this, or a quota is used up.',
    remedy: 'Ask the administrator of the cloud for the right or the quota.',
    fault: 'user',
    transient: false,
  },
  'not-found': {
    reason: 'It does not exist, or it is already gone.',
    remedy: 'Check the id or the name.',
    fault: 'user',
    transient: false,
  },
  locked: {
    reason: 'Somebody locked the object.',
    remedy: 'Wait for the lock to be released, or unlock it.',
    fault: 'environment',
    transient: true,
  },
  'wrong-state': {
    reason: 'The action is not possible in the present state.',
    remedy: 'Wait until the state has changed, then try again.',
    fault: 'environment',
    transient: false,
  },
  refused: {
    reason: 'The values are not acceptable to the server, or the action is not possible.',
    remedy: 'Correct what the server names.',
    fault: 'user',
    transient: false,
  },
  crashed: {
    reason: 'The server failed inside.',
    remedy: "Look into the server's log.",
    fault: 'environment',
    transient: false,
  },
};

const DOWN_BEHIND = 'The login is wrong, or oned is down: OneFlow and OneGate answer the same to both.';

/** A call to OpenNebula that failed. `code` is the server and the kind, for example `oneflow-wrong-state`. */
export class CloudFailure extends OneFlowerError {
  readonly server: CloudServer;
  readonly call: string;
  readonly kind: FailureKind;
  readonly words: string;
  readonly errno: number | undefined;
  readonly status: number | undefined;
  /** True when the same call may succeed later with nothing changed. */
  readonly transient: boolean;

  constructor(parts: FailureParts) {
    const explanation = EXPLANATIONS[parts.kind];
    const words = shorten(parts.words ?? '');
    super({
      code: `${parts.server}-${parts.kind}`,
      message: `${SERVER_NAMES[parts.server]} failed at ${parts.call}${words === '' ? '' : `: ${words}`}`.replace(
        /\.?$/,
        '.',
      ),
      reason: isDoubtfulLogin(parts) ? DOWN_BEHIND : explanation.reason,
      remedy: explanation.remedy,
      fault: explanation.fault,
      cause: parts.cause,
      details: { call: parts.call, kind: parts.kind, words, errno: parts.errno, status: parts.status },
    });
    this.name = 'CloudFailure';
    this.server = parts.server;
    this.call = parts.call;
    this.kind = parts.kind;
    this.words = words;
    this.errno = parts.errno;
    this.status = parts.status;
    this.transient = parts.transient ?? (explanation.transient || isDoubtfulLogin(parts));
  }
}

/** A stopped oned makes OneFlow and OneGate answer 401, the same as a wrong password: never final. */
function isDoubtfulLogin(parts: FailureParts): boolean {
  return parts.kind === 'unauthenticated' && parts.server !== 'oned';
}

function shorten(words: string): string {
  const line = words.replace(/\s+/g, ' ').trim();
  return line.length > MAX_WORDS ? `${line.slice(0, MAX_WORDS)}...` : line;
}

export function isCloudFailure(error: unknown, ...kinds: FailureKind[]): error is CloudFailure {
  return error instanceof CloudFailure && (kinds.length === 0 || kinds.includes(error.kind));
}

/** No such object. */
export function isNotFound(error: unknown): error is CloudFailure {
  return isCloudFailure(error, 'not-found');
}

/** Login or token refused; see {@link isTransient}, because OneFlow and OneGate say so too when oned is down. */
export function isUnauthorized(error: unknown): error is CloudFailure {
  return isCloudFailure(error, 'unauthenticated');
}

/** Logged in, but not allowed. */
export function isForbidden(error: unknown): error is CloudFailure {
  return isCloudFailure(error, 'forbidden');
}

/** Not possible in the present state. */
export function isWrongState(error: unknown): error is CloudFailure {
  return isCloudFailure(error, 'wrong-state');
}

/** No connection, a broken one, or no answer in time. */
export function isUnreachable(error: unknown): error is CloudFailure {
  return isCloudFailure(error, 'unreachable', 'interrupted', 'timeout');
}

/** True when the same call may succeed later with nothing changed. */
export function isTransient(error: unknown): error is CloudFailure {
  return error instanceof CloudFailure && error.transient;
}

/** True when oned refused a name because the owner has another object of that name. */
export function isNameTaken(error: unknown): error is CloudFailure {
  return isCloudFailure(error, 'refused') && /NAME is already taken/.test(error.words);
}
