import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';

/** A demonstration whose program takes a minute, and that takes something down afterwards. */
const demonstration = `
import { Commands } from ${JSON.stringify(new URL('./command.ts', import.meta.url).href)};
const commands = new Commands();
const running = commands.program('sleep', ['60'], {});
console.error('ready');
await running.catch(error => console.log(error.code));
console.log('taken down');`;

it.each(['SIGTERM', 'SIGHUP'] as const)('%s ends the program that runs and leaves time to take down', async signal => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', demonstration], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = text(child.stdout);
  await once(child.stderr, 'data');
  child.kill(signal);
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(await said).toBe('interrupted\ntaken down\n');
});
