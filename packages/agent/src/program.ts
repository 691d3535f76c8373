import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isOneFlowerError, systemClock } from '@oneflower/contract';
import { Agent } from './agent.ts';
import { Guest } from './guest.ts';
import { createEventHub } from './journal/event-hub.ts';
import { createTail } from './journal/tail.ts';
import { layoutOf } from './layout.ts';
import { createLog } from './log/log.ts';
import { flowerOwner, readOptions } from './options.ts';
import { machineOf } from './roles.ts';
import { endProcesses } from './supervision/processes.ts';
import { createSupervisor } from './supervision/supervisor.ts';

/** Time that Flower's processes get to end by themselves. A SuperLink with a run at work does not use it well. */
const graceMs = 10_000;

/** Starts the agent as a program. */
export function start(args: string[]): void {
  run(args).then(
    () => process.exit(0),
    (error: unknown) => {
      const text = isOneFlowerError(error) ? error.explain() : error instanceof Error ? error.stack : String(error);
      process.stderr.write(`${text}\n`);
      process.exit(isOneFlowerError(error) && error.code === 'usage' ? 2 : 1);
    },
  );
}

async function run(args: string[]): Promise<void> {
  const clock = systemClock;
  const log = createLog(line => process.stdout.write(line), clock);
  const options = readOptions(args);
  const owner = await flowerOwner(options.flowerUser);
  const layout = layoutOf(options.root, options.software, options.releases);
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => stop.abort(new Error(`${signal} received`)));
  }
  const { contextChanged } = onHangUp();
  // Where this fails the boot step that makes the folders says so, and is tried again.
  await mkdir(layout.state, { recursive: true, mode: 0o711 }).catch(() => undefined);
  const events = await createEventHub({ file: join(layout.state, 'events.jsonl'), clock, log });
  const leftovers = await endProcesses(layout.root, clock, graceMs);
  if (leftovers > 0) log.warning(`${leftovers} processes of an agent that died were still there; they are ended.`);
  const supervisor = createSupervisor({ clock, log, emit: events.emit, guest: layout.root, graceMs });
  const tail = await createTail({
    ...{ file: layout.appEvents, positionFile: join(layout.state, 'journal.json'), clock, log },
    formerFile: join(layout.state, 'journal-former.jsonl'),
    take: event => events.take(event),
    stored: () => events.flushed(),
  });
  const parts = { options, layout, clock, log, events, supervisor, owner };
  const guest = new Guest({ ...parts, readJournal: () => tail.poll() });
  // Nothing of Flower lives at this moment.
  await tail.cut();
  tail.start();
  const reboot = events.kept().length > 0;
  await new Agent({ guest, machineOf }).run({ stop: stop.signal, contextChanged }, reboot);
}

/** SIGHUP says that the CONTEXT CD was changed. One that comes while nobody waits is not lost. */
function onHangUp(): { contextChanged(): Promise<void> } {
  let pending = false;
  let wake: (() => void) | undefined;
  process.on('SIGHUP', () => {
    pending = true;
    wake?.();
  });
  return {
    async contextChanged() {
      if (!pending) await new Promise<void>(resolve => (wake = resolve));
      pending = false;
    },
  };
}
