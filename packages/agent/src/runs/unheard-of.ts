import type { Log } from '../log/log.ts';
import type { RunLedger } from './ledger.ts';

/** Runs of which apps tell and that Flower has not listed yet: spoken of once, when Flower does not list them either. */
export class UnheardOf {
  readonly #ledger: RunLedger;
  readonly #log: Log;
  /** One is enough to speak of: an app can make up any. */
  #runId: string | undefined;
  #said = false;

  constructor(ledger: RunLedger, log: Log) {
    this.#ledger = ledger;
    this.#log = log;
  }

  note(runId: string): void {
    this.#runId ??= runId;
  }

  /** Which one was told of before Flower is asked for its list; what is answered says so if it is not there then. */
  beforeList(): () => void {
    const runId = this.#runId;
    return () => {
      if (runId === undefined) return;
      this.#runId = undefined;
      if (this.#said || this.#ledger.find(runId)) return;
      this.#said = true;
      this.#log.warning(`An app tells of runs that Flower does not know, such as ${runId}: they are passed over.`);
    };
  }
}
