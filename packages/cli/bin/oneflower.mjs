#!/usr/bin/env node
// The command line's entry. Plain JavaScript, because it is what meets an older Node first: OneFlower is TypeScript
// that Node 24 runs as it is, and that release comes with the packages.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const major = Number(process.versions.node.split('.')[0]);
const main = new URL('../src/main.ts', import.meta.url);

if (major < 20) {
  console.error(`OneFlower needs Node 20 or newer; this is ${process.version}. Install a current Node and try again.`);
  process.exit(1);
}
if (major >= 24 && 'typescript' in process.features && process.features.typescript === 'strip') await import(main.href);
else runWithOwnNode();

function runWithOwnNode() {
  const node = ownNode();
  if (node === undefined) {
    console.error(
      `OneFlower runs on Node 24; this is ${process.version}, and the one that comes with the packages is missing. ` +
        'Run npm ci in the checkout, or install Node 24.',
    );
    process.exit(1);
  }
  const child = spawn(node, [fileURLToPath(main), ...process.argv.slice(2)], { stdio: 'inherit' });
  // Whoever stops this process means the other one. A terminal sends SIGINT to both, which then arrives twice there.
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']))
    process.on(signal, () => child.kill(signal));
  child.on('error', error => {
    console.error(`Node 24 could not be started: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
}

function ownNode() {
  try {
    const file = createRequire(import.meta.url).resolve('node/bin/node');
    return existsSync(file) ? file : undefined;
  } catch {
    return undefined;
  }
}
