import type { Output, Surroundings } from './context.ts';
import { runCli } from './run-cli.ts';

const interrupted = 130;
const defaultColumns = 80;

/** Milliseconds within which a second signal is an echo of the first: the entry passes on what a terminal sends to both. */
const echoMs = 300;

/** Lets a command end in an orderly way at the first signal, and ends at once at the second. */
function interruptible(): AbortSignal {
  const controller = new AbortController();
  let first = 0;
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted && performance.now() - first > echoMs) process.exit(interrupted);
      if (controller.signal.aborted) return;
      first = performance.now();
      controller.abort(new Error('interrupted'));
    });
  }
  return controller.signal;
}

function output(stream: NodeJS.WriteStream): Output {
  // A reader that has gone, as `head` does, is no failure.
  stream.on('error', error => {
    if (!('code' in error) || error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
  return {
    write: text => {
      stream.write(text);
    },
    terminal: stream.isTTY === true,
    columns: stream.columns || defaultColumns,
  };
}

const surroundings: Surroundings = {
  stdout: output(process.stdout),
  stderr: output(process.stderr),
  environment: process.env,
  folder: process.cwd(),
  signal: interruptible(),
  async ensureSoftware(notify) {
    const { ensureSoftware } = await import('./runtime/index.ts');
    return ensureSoftware(notify);
  },
  async ensureFramework(framework, software, notify) {
    const { ensureFramework } = await import('./runtime/index.ts');
    return ensureFramework(framework, software, notify);
  },
  async findPython() {
    const { findPython } = await import('./runtime/index.ts');
    return findPython({ path: process.env.PATH ?? '', forOtherUser: process.getuid?.() === 0 });
  },
};

process.exitCode = await runCli(process.argv.slice(2), surroundings);
