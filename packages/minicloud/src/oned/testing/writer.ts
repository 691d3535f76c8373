import { systemClock } from '@oneflower/contract';
import { createDummyDriver } from '../../drivers/dummy.ts';
import { createOned } from '../index.ts';
import { session } from './cloud.ts';

/** Writes documents into a state file without end and prints the id of each that was answered: something to kill. */
function write(file: string): void {
  const oned = createOned({
    file,
    clock: systemClock,
    driver: createDummyDriver(),
    admin: { name: 'oneadmin', password: 'secret' },
  });
  const next = (): void => {
    const answer = oned.call(session, 'one.document.allocate', '<T><BODY>x</BODY></T>', 7);
    if (answer.ok) process.stdout.write(`${String(answer.value)}\n`);
    setImmediate(next);
  };
  next();
}

write(process.argv[2] ?? ':memory:');
