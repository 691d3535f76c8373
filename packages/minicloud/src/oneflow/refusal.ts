import { type Fault, OneFlowerError } from '@oneflower/contract';

/** A call that OneFlow turns down: the HTTP status and the plain sentence that the client gets. */
export class Refusal extends OneFlowerError {
  readonly status: number;

  constructor(status: number, sentence: string, fault: Fault = 'user') {
    super({ code: 'oneflow-refused', message: sentence, fault, details: { status } });
    this.status = status;
  }
}

/** A request at which the real server's code breaks: 500 with the reason in a JSON object. */
export function crash(reason: string): Refusal {
  return new Refusal(500, JSON.stringify({ message: 'Internal server error', reason }));
}
