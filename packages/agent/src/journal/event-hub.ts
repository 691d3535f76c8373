import { appendFile, readFile } from 'node:fs/promises';
import { type Clock, type EventData, type EventName, events, type FlowerEvent, messageOf } from '@oneflower/contract';
import * as z from 'zod';
import { writeFileAtomic } from '../files.ts';
import type { Log } from '../log/log.ts';

/** Says that something happened. */
export type EventSink = <N extends EventName>(event: N, data: EventData<N>) => void;

/** An event with its number. Numbers only grow, also across restarts. */
export interface NumberedEvent {
  seq: number;
  event: string;
  timestamp: string;
  data: Record<string, unknown>;
}

export interface EventHub {
  emit: EventSink;
  /** Takes in an event that our code inside Flower has written, with its own time. */
  take(event: FlowerEvent): void;
  /** Events with a number above `after`, at most 500; waits up to `waitMs` for the first, or until `signal`. */
  page(after: number, waitMs: number, signal?: AbortSignal): Promise<{ events: NumberedEvent[]; next: number }>;
  /** Calls `listener` for every event from here on, until what it answers is called. */
  listen(listener: (event: NumberedEvent) => void): () => void;
  /** All that is kept, oldest first. */
  kept(): readonly NumberedEvent[];
  /** When everything said so far has been written; whether it is all on disk. */
  flushed(): Promise<boolean>;
}

const Stored = z.object({
  seq: z.int(),
  event: z.string(),
  timestamp: z.string(),
  data: z.record(z.string(), z.unknown()),
});

const pageSize = 500;
/** What is kept of events at most, where they are long. */
const keptBytes = 8 * 1024 * 1024;

export interface EventHubOptions {
  /** Where events are kept, one JSON object a line. */
  file: string;
  clock: Clock;
  log: Log;
  /** How many are kept. */
  keep?: number;
}

/** Numbers events, logs them, keeps the last ones on disk and hands them to whoever waits. */
export async function createEventHub({ file, clock, log, keep = 5000 }: EventHubOptions): Promise<EventHub> {
  const loaded = await load(file);
  let kept = loaded.entries;
  let onDisk = { lines: kept.length, bytes: bytesOf(kept) };
  let inMemory = onDisk.bytes;
  let next = (kept.at(-1)?.seq ?? 0) + 1;
  const listeners = new Set<(event: NumberedEvent) => void>();
  let waiters: (() => void)[] = [];
  let writing = Promise.resolve();
  let complained = false;
  /** Whether the disk has missed events. */
  let behind = false;
  /** Whether the file ends in the middle of a line, which would take the next one with it. */
  let torn = loaded.torn;

  function add(event: EventName, timestamp: string, data: Record<string, unknown>): void {
    const entry = { seq: next++, event, timestamp, data };
    kept.push(entry);
    inMemory += line(entry).length;
    // The disk may be full for long: memory is not to follow.
    if (kept.length > 2 * keep || inMemory > 2 * keptBytes) {
      kept = lastOf(kept, keep);
      inMemory = bytesOf(kept);
    }
    log.write(events[event].level, sentence(event, data), { event, data, source: 'events' });
    writing = writing.then(() => store(entry)).catch(complain);
    for (const listener of listeners) listener(entry);
    for (const wake of waiters.splice(0)) wake();
  }

  async function store(entry: NumberedEvent): Promise<void> {
    if (onDisk.lines >= 2 * keep || onDisk.bytes >= 2 * keptBytes) {
      await rewrite();
      return;
    }
    const before = torn ? '\n' : '';
    torn = true;
    await appendFile(file, before + line(entry), { mode: 0o600 });
    torn = false;
    onDisk = { lines: onDisk.lines + 1, bytes: onDisk.bytes + line(entry).length };
    // It takes something again: what it has missed, too.
    if (behind) await rewrite();
    complained = false;
  }

  async function rewrite(): Promise<void> {
    const last = lastOf(kept, keep);
    await writeFileAtomic(file, last.map(line).join(''), { mode: 0o600 });
    onDisk = { lines: last.length, bytes: bytesOf(last) };
    torn = false;
    behind = false;
  }

  function complain(error: unknown): void {
    behind = true;
    if (!complained) log.warning(`Events are not kept on disk at present: ${messageOf(error)}.`);
    complained = true;
  }

  function after(seq: number): NumberedEvent[] {
    const from = kept.findIndex(entry => entry.seq > seq);
    return from === -1 ? [] : kept.slice(from, from + pageSize);
  }

  return {
    emit: (event, data) => add(event, new Date(clock.now()).toISOString(), data),
    take: ({ event, timestamp, data }) => add(event, timestamp, data),
    async page(seq, waitMs, signal) {
      if (after(seq).length === 0 && waitMs > 0 && !signal?.aborted) {
        await new Promise<void>(resolve => {
          const timer = clock.after(waitMs, wake);
          function wake(): void {
            timer.cancel();
            signal?.removeEventListener('abort', wake);
            waiters = waiters.filter(other => other !== wake);
            resolve();
          }
          signal?.addEventListener('abort', wake, { once: true });
          waiters.push(wake);
        });
      }
      const found = after(seq);
      return { events: found, next: found.at(-1)?.seq ?? Math.min(seq, next - 1) };
    },
    listen(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    kept: () => kept,
    flushed: () => writing.then(() => !behind),
  };
}

async function load(file: string): Promise<{ entries: NumberedEvent[]; torn: boolean }> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const entries: NumberedEvent[] = [];
  for (const entry of text.split('\n').flatMap(parseLine)) {
    // What was written twice around a compaction counts once.
    if (entry.seq > (entries.at(-1)?.seq ?? 0)) entries.push(entry);
  }
  return { entries, torn: text !== '' && !text.endsWith('\n') };
}

/** The last line may be cut short by a power cut. */
function parseLine(text: string): NumberedEvent[] {
  try {
    const parsed = Stored.safeParse(JSON.parse(text));
    return parsed.success ? [parsed.data] : [];
  } catch {
    return [];
  }
}

function line(entry: NumberedEvent): string {
  return `${JSON.stringify(entry)}\n`;
}

function bytesOf(entries: readonly NumberedEvent[]): number {
  return entries.reduce((sum, entry) => sum + line(entry).length, 0);
}

/** The last events, by number and by size. */
function lastOf(entries: readonly NumberedEvent[], keep: number): NumberedEvent[] {
  let from = entries.length;
  for (let bytes = 0; from > Math.max(0, entries.length - keep); from--) {
    const entry = entries[from - 1];
    bytes += entry === undefined ? 0 : line(entry).length;
    if (bytes > keptBytes) break;
  }
  return entries.slice(from);
}

function sentence(event: EventName, data: Record<string, unknown>): string {
  const facts = Object.entries(data)
    .filter(([, value]) => typeof value !== 'object' || value === null)
    .map(([name, value]) => `${name}=${String(value)}`);
  return [events[event].help, facts.join(' ')].filter(Boolean).join(' ');
}
