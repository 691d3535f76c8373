/** One HTTP request. Every request is a connection of its own. */
export interface HttpRequest {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  url: string;
  headers: Readonly<Record<string, string>>;
  body?: string;
  /** Aborted at the deadline, or when the caller gives up. */
  signal: AbortSignal;
}

export interface HttpAnswer {
  status: number;
  body: string;
}

/**
 * Sends one request and reads the whole answer.
 *
 * @throws TransportError, or the signal's reason when it is aborted
 */
export type HttpTransport = (request: HttpRequest) => Promise<HttpAnswer>;

/** No answer came. `sent` says whether the server may have seen the request. */
export class TransportError extends Error {
  readonly sent: boolean;

  constructor(message: string, sent: boolean, cause?: unknown) {
    super(message, { cause });
    this.name = 'TransportError';
    this.sent = sent;
  }
}
