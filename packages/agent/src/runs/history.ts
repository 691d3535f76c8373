import { appendFile, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type EventData, messageOf, RoundRecord } from '@oneflower/contract';
import type { Layout } from '../layout.ts';
import type { Log } from '../log/log.ts';
import type { RunRecord } from './store.ts';

/** What is kept of one run at most: some 10,000 rounds. An app may tell of any number. */
const mostBytes = 4 * 1024 * 1024;
const historyFile = /^(\d+)\.rounds$/;

/** What each round of each run came to, one JSON object a line in a file for each run. */
export class RunHistories {
  readonly #layout: Layout;
  readonly #log: Log;
  #writing: Promise<void> = Promise.resolve();

  constructor(layout: Layout, log: Log) {
    this.#layout = layout;
    this.#log = log;
  }

  /** Keeps what the end of a round told; the same once more is kept once. */
  note(data: EventData<'round_end'>): void {
    const entry: RoundRecord = {
      runId: data.run_id,
      round: data.round,
      seconds: data.round_duration_seconds,
      responded: data.num_clients_responded,
      failed: data.num_clients_failed,
      metrics: data.metrics,
    };
    this.#writing = this.#writing
      .then(() => this.#append(entry))
      .catch((error: unknown) => this.#log.debug(`A round of run ${entry.runId} is not kept: ${messageOf(error)}`));
  }

  /** The rounds of a run, first one first. */
  async read(runId: string): Promise<RoundRecord[]> {
    await this.#writing;
    const text = await readFile(this.#path(runId), 'utf8').catch(() => '');
    const rounds = new Map<number, RoundRecord>();
    for (const entry of text.split('\n').flatMap(parseLine)) rounds.set(entry.round, entry);
    return [...rounds.values()].sort((a, b) => a.round - b.round);
  }

  /**
   * The rounds of a training, those of the runs that it was continued from included.
   *
   * @param chain latest run first.
   */
  async ofChain(chain: readonly RunRecord[]): Promise<RoundRecord[]> {
    const rounds = new Map<number, RoundRecord>();
    let most = Number.POSITIVE_INFINITY;
    for (const { runId, resumedFrom } of chain) {
      for (const entry of await this.read(runId)) {
        if (entry.round <= most && !rounds.has(entry.round)) rounds.set(entry.round, entry);
      }
      // What came after that round in the run before was done once more.
      most = Math.min(most, resumedFrom ?? 0);
    }
    return [...rounds.values()].sort((a, b) => a.round - b.round);
  }

  /** Removes what is kept of runs that are no longer known. */
  async keepOnly(runIds: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(this.#layout.runs).catch(() => [])) {
      const runId = historyFile.exec(name)?.[1];
      if (runId !== undefined && !runIds.has(runId)) await rm(join(this.#layout.runs, name), { force: true });
    }
  }

  async flushed(): Promise<void> {
    await this.#writing;
  }

  async #append(entry: RoundRecord): Promise<void> {
    const path = this.#path(entry.runId);
    const line = `${JSON.stringify(entry)}\n`;
    const size = await stat(path).then(
      found => found.size,
      () => 0,
    );
    if (size + line.length > mostBytes) return;
    // Events are told again after a restart of the agent.
    if (size > 0 && (await readFile(path, 'utf8')).includes(line)) return;
    await appendFile(path, line, { mode: 0o600 });
  }

  #path(runId: string): string {
    return join(this.#layout.runs, `${runId}.rounds`);
  }
}

function parseLine(text: string): RoundRecord[] {
  try {
    const parsed = RoundRecord.safeParse(JSON.parse(text));
    return parsed.success ? [parsed.data] : [];
  } catch {
    return [];
  }
}
