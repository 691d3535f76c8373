import { readFile } from 'node:fs/promises';
import type { VariableName } from '@oneflower/contract';
import { expect } from 'vitest';
import { findProcess } from '../support/processes.ts';
import type { Member, Scene } from './scene.ts';

/** Runs what a variable changes with and without it, and sees the difference. */
export type Effect = (scene: Scene) => Promise<void>;

/** Tests by the variable that they are about. */
export type Effects = Partial<Record<VariableName, Effect>>;

/** Command line of a Flower program in a guest, as one text. */
export async function commandLine({ guest }: Member, program: string): Promise<string> {
  const found = await guest.process(program);
  expect(found, `${program} runs`).toBeDefined();
  return found?.args.join(' ') ?? '';
}

/** Whether the agent itself, not Flower, has started a program. */
export async function isStartedByAgent({ guest }: Member, program: string): Promise<boolean> {
  const found = await findProcess(guest.folder, program);
  expect(found, `${program} runs`).toBeDefined();
  return found?.parent === guest.pid;
}

/** CA that a SuperLink has made itself. */
export function ownCa({ guest }: Member): Promise<string> {
  return readFile(guest.path('opt/flower/certs/ca.crt'), 'utf8');
}
