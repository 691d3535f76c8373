/** oned's error numbers (the third value of a refusal). */
export const errno = {
  authentication: 256,
  authorization: 512,
  noExists: 1024,
  action: 2048,
  api: 4096,
  internal: 8192,
  allocate: 16384,
  locked: 32768,
} as const;

/** A refusal, as a handler throws it. The method's name is put in front of the message by the dispatcher. */
export class RequestError extends Error {
  readonly errno: number;
  readonly objectId: number;

  constructor(code: number, message: string, objectId = -1) {
    super(message);
    this.name = 'RequestError';
    this.errno = code;
    this.objectId = objectId;
  }
}

/** A refusal below the level of methods: the number is negative and XML-RPC carries it as a fault. */
export class FaultError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.name = 'FaultError';
    this.code = code;
  }
}

/** The refusal for an id that nothing has. `title` is oned's word for the kind. */
export function notFound(title: string, id: number): RequestError {
  return new RequestError(errno.noExists, `Error getting ${title} [${id}].`, id);
}
