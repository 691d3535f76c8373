import { join } from 'node:path';
import { OneFlowerError } from '@oneflower/contract';
import { execa } from 'execa';
import * as z from 'zod';
import { checkout } from '../../packages/cli/src/runtime/index.ts';
import { say } from '../setup.ts';

interface ProgramOptions {
  env?: Record<string, string>;
  stderr?: 'inherit' | 'ignore';
}

const failure = z.object({ error: z.object({ code: z.string() }) });

/**
 * Runs the programs of a demonstration one after the other. SIGINT, SIGTERM and SIGHUP end the one that runs; what was
 * made is then taken down as after any failure.
 */
export class Commands {
  #end: (() => void) | undefined;
  #interrupted = false;
  #terminal = true;

  constructor() {
    // A terminal sends its interrupt to the program that runs as well.
    process.on('SIGINT', () => {
      this.#interrupted = true;
    });
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        this.#interrupted = true;
        if (signal === 'SIGHUP') this.#terminal = false;
        this.#end?.();
      });
    }
  }

  /** @throws OneFlowerError `interrupted` once a signal has come: what is under way then is not to go on. */
  goOn(): void {
    if (this.#interrupted) throw new OneFlowerError({ code: 'interrupted', message: 'Interrupted.', fault: 'user' });
  }

  /** Runs a command as a person would type it and answers its JSON document; its progress is seen as it happens. */
  async oneflower(...args: string[]): Promise<unknown> {
    say(`\n$ oneflower ${args.join(' ')}`);
    const file = join(checkout, 'packages', 'cli', 'bin', 'oneflower.mjs');
    const cloud = args[0] === 'cloud' ? [] : ['--cloud', 'embedded'];
    // Whoever writes to a terminal that has gone fails by that.
    const stderr = this.#terminal ? 'inherit' : 'ignore';
    const { stdout, exitCode } = await this.#run([process.execPath, file, ...args, ...cloud, '--json'], { stderr });
    if (exitCode === 0) return JSON.parse(stdout);
    throw commandFailure(args, exitCode, stdout);
  }

  /** Runs a program that prints a JSON document. */
  async program(file: string, args: string[], env: Record<string, string>): Promise<unknown> {
    this.goOn();
    const { stdout, stderr, exitCode } = await this.#run([file, ...args], { env });
    this.goOn();
    if (exitCode === 0) return JSON.parse(stdout);
    throw new Error(`${file} ${args.join(' ')} ended with ${exitCode}:\n${stderr}`);
  }

  async #run([file = '', ...args]: string[], options: ProgramOptions) {
    const child = execa(file, args, { ...options, stdin: 'ignore', reject: false, forceKillAfterDelay: false });
    this.#end = () => void child.kill('SIGTERM');
    const { stdout, stderr, exitCode } = await child;
    this.#end = undefined;
    return { stdout: String(stdout ?? ''), stderr: String(stderr ?? ''), exitCode };
  }
}

/** The failure of a command that has said its own words, with the code of the document that it printed. */
export function commandFailure(args: string[], exitCode: number | undefined, stdout: string): OneFlowerError {
  return new OneFlowerError({
    code: codeIn(stdout) ?? 'demo',
    message: `oneflower ${args.join(' ')} ended with ${exitCode ?? 'a signal'}.`,
    reason: 'Its own words are above.',
  });
}

function codeIn(stdout: string): string | undefined {
  try {
    return failure.safeParse(JSON.parse(stdout)).data?.error.code;
  } catch {
    // It was ended before it could say anything.
    return undefined;
  }
}
