/**
 * A small agent for tests. It writes what it was given to `root/seen.json`, notes signals in `root/signals` and each start
 * in `root/starts`, and behaves as `root/behave` says: `die` at once, be `stubborn` when asked to end, start a `child`, or
 * a `loner` with a session of its own.
 */
export const testAgent = `
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
const root = process.argv[process.argv.indexOf('--root') + 1];
const behave = existsSync(root + '/behave') ? readFileSync(root + '/behave', 'utf8') : '';
appendFileSync(root + '/starts', process.pid + '\\n');
if (behave.includes('die')) process.exit(3);
let child;
if (behave.includes('child')) child = spawn('/bin/sleep', ['600'], { stdio: 'ignore' });
let loner;
if (behave.includes('loner')) loner = spawn('/bin/sleep', ['601'], { stdio: 'ignore', detached: true });
process.on('SIGHUP', () => appendFileSync(root + '/signals', 'HUP\\n'));
process.on('SIGTERM', () => {
  appendFileSync(root + '/signals', 'TERM\\n');
  if (!behave.includes('stubborn')) process.exit(0);
});
const seen = { args: process.argv.slice(2), env: process.env, child: child?.pid, loner: loner?.pid };
writeFileSync(root + '/seen.json', JSON.stringify(seen));
console.log('agent is up');
setInterval(() => undefined, 1000);
`;
