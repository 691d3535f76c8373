import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FakeClock } from '@oneflower/contract';
import { Guest } from '../guest.ts';
import { createEventHub } from '../journal/event-hub.ts';
import { layoutOf } from '../layout.ts';
import { createSupervisor } from '../supervision/supervisor.ts';
import { keptLog } from './log.ts';
import { temporaryFolder } from './temporary.ts';

/** For tests: a guest in which nothing runs, with a clock that stands still. */
export async function quietGuest() {
  const clock = new FakeClock();
  const { log, lines } = keptLog(clock);
  const layout = layoutOf(await temporaryFolder(), '/opt/oneflower');
  await mkdir(layout.state, { recursive: true });
  const events = await createEventHub({ file: join(layout.state, 'events.jsonl'), clock, log });
  const supervisor = createSupervisor({ clock, log, emit: events.emit, guest: layout.root, graceMs: 0 });
  const options = { root: layout.root, context: '/', address: undefined, software: '/', flowerUser: 'nobody' };
  const surroundings = { options, layout, clock, log, events, supervisor, owner: undefined };
  const guest = new Guest({ ...surroundings, readJournal: () => Promise.resolve() });
  return { clock, lines, guest };
}
