/** What OneGate answers; 204 has neither body nor type. */
export interface Reply {
  status: number;
  body: string;
  contentType?: string;
}

const NOT_AUTHORISED = 'Not authorized';
const INTERNAL = 'Internal server error';

/** A refusal that a handler throws; its message is the body of the answer, in the words of the real server. */
export class Refusal extends Error {
  readonly status: number;
  readonly contentType: string | undefined;

  constructor(status: number, message: string, contentType?: string) {
    super(message);
    this.name = 'Refusal';
    this.status = status;
    this.contentType = contentType;
  }
}

/** Any fault of the login, a stopped oned included: they are told apart by nothing. */
export function notAuthorised(): Refusal {
  return new Refusal(401, NOT_AUTHORISED);
}

/** What OneGate says whenever oned refused: never why. */
export function internalError(): Refusal {
  return new Refusal(500, INTERNAL);
}
