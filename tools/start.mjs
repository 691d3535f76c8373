// Runs one of the tools beside this file. Plain JavaScript, because it is what meets an older Node first: it installs
// the Node packages of a fresh clone and hands over to the Node release that the lock file names.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..');
const [tool = '', ...args] = process.argv.slice(2);

/** @param {string} command @param {string[]} commandArgs */
function run(command, commandArgs) {
  const { status, error } = spawnSync(command, commandArgs, { cwd: root, stdio: 'inherit' });
  if (error) throw error;
  return status ?? 1;
}

function packagesAreInstalled() {
  const installed = join(root, 'node_modules', '.package-lock.json');
  const lock = join(root, 'package-lock.json');
  return existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs;
}

if (Number(process.versions.node.split('.')[0]) < 20) {
  console.error(`OneFlower needs Node 20 or newer; this is ${process.version}. Install a current Node and try again.`);
  process.exit(1);
}
if (!packagesAreInstalled()) {
  console.error('Installing the Node packages that package-lock.json names');
  const status = run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  if (status !== 0) {
    console.error(
      'npm ci did not succeed. Its own message is above; a registry that cannot be reached is the usual cause.',
    );
    process.exit(status);
  }
}
const node = join(root, 'node_modules', 'node', 'bin', 'node');
const file = existsSync(node) ? node : process.execPath;
const child = spawn(file, [join(root, 'tools', `${tool}.ts`), ...args], { cwd: root, stdio: 'inherit' });
// The tool gets the terminal's interrupt itself and ends in order; this process waits for that.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => child.kill('SIGTERM'));
process.on('SIGHUP', () => child.kill('SIGHUP'));
child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
