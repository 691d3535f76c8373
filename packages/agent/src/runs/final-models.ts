import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Clock, type EventData, isOneFlowerError, messageOf } from '@oneflower/contract';
import type { EventHub } from '../journal/event-hub.ts';
import type { Layout } from '../layout.ts';
import type { Log } from '../log/log.ts';
import type { RunLedger } from './ledger.ts';
import { keepModel } from './models.ts';

export interface FinalModelsParts {
  layout: Layout;
  clock: Clock;
  log: Log;
  events: EventHub;
  flowerVersion(): string;
}

/** Takes in the models that apps write at the end of their runs, one for each run. */
export class FinalModels {
  readonly #parts: FinalModelsParts;
  readonly #ledger: RunLedger;
  /** One at a time: an app may tell of the same one twice. */
  #turn: Promise<void> = Promise.resolve();
  readonly #underWay = new Set<string>();

  constructor(parts: FinalModelsParts, ledger: RunLedger) {
    this.#parts = parts;
    this.#ledger = ledger;
  }

  /** Whether what an app told of once still waits to be taken in. */
  isWaiting({ file }: EventData<'model_written'>): boolean {
    return existsSync(join(this.#parts.layout.appModels, basename(file)));
  }

  /** Whether a model of the run is being taken in. */
  isKeeping(runId: string): boolean {
    return this.#underWay.has(runId);
  }

  /** Keeps a model; one that cannot be kept goes to the log. */
  keep(written: EventData<'model_written'>): Promise<void> {
    this.#underWay.add(written.run_id);
    this.#turn = this.#turn.then(() => this.#keep(written)).finally(() => this.#underWay.delete(written.run_id));
    return this.#turn;
  }

  async #keep(written: EventData<'model_written'>): Promise<void> {
    const { clock, events, log, flowerVersion } = this.#parts;
    const record = this.#ledger.find(written.run_id);
    if (record?.model) return;
    const savedAt = new Date(clock.now()).toISOString();
    try {
      const about = { app: record?.app ?? '', flowerVersion: flowerVersion(), savedAt };
      const { runId, file, bytes, sha256 } = await keepModel(this.#parts, written, about);
      events.emit('model_saved', { run_id: runId, file, bytes, sha256 });
    } catch (error) {
      log.error(isOneFlowerError(error) ? error.explain() : messageOf(error));
    }
  }
}
