import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import * as z from 'zod';

const manifest = z.object({ scripts: z.record(z.string(), z.string()) });
const { scripts } = manifest.parse(JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8')));

it.each(Object.entries(scripts))('npm run %s starts a tool that there is', (_, command) => {
  const tool = /^node tools\/start\.mjs (\w+)/.exec(command)?.[1];
  expect(tool).toBeDefined();
  expect(existsSync(join(import.meta.dirname, `${tool}.ts`))).toBe(true);
});
