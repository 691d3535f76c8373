import { type Clock, systemClock } from '@oneflower/contract';
import type { Surroundings } from '../context.ts';
import { runCli } from '../run-cli.ts';

/** What a command line has left. */
export interface Finished {
  code: number;
  stdout: string;
  stderr: string;
  /** The JSON document on stdout. */
  document(): Record<string, unknown>;
}

export interface CommandLine {
  environment: Record<string, string>;
  folder?: string;
  clock?: Clock;
  signal?: AbortSignal;
  terminal?: boolean;
  ensureFramework?: Surroundings['ensureFramework'];
  /** Sees stderr as it grows. */
  onStderr?: (all: string) => void;
}

/** Runs a command line in this process and keeps what it prints. */
export async function runCommandLine(line: CommandLine, ...words: string[]): Promise<Finished> {
  let stdout = '';
  let stderr = '';
  const { terminal = false, onStderr } = line;
  const surroundings: Surroundings = {
    stdout: {
      write: text => {
        stdout += text;
      },
      terminal,
      columns: 100,
    },
    stderr: {
      write: text => {
        stderr += text;
        onStderr?.(stderr);
      },
      terminal,
      columns: 100,
    },
    environment: line.environment,
    folder: line.folder ?? '/nowhere',
    clock: line.clock ?? systemClock,
    signal: line.signal ?? new AbortController().signal,
    ensureSoftware: () => Promise.reject(new Error('Nothing here needs software.')),
    ensureFramework: line.ensureFramework ?? (() => Promise.reject(new Error('Nothing here needs a framework.'))),
    findPython: () => Promise.resolve({ file: '/usr/bin/python3', release: '3.11' }),
  };
  const code = await runCli(words, surroundings);
  return { code, stdout, stderr, document: () => JSON.parse(stdout) };
}
