import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { checkout } from '../packages/cli/src/runtime/index.ts';
import { staleFiles } from './derived-files.ts';
import { say } from './setup.ts';

interface Check {
  name: string;
  remedy: string;
  /** The failures, empty when there are none. */
  run: () => Promise<string>;
}

/** Every static check, in the order of what is quickest to tell. */
export function checks(python: string): Check[] {
  const flower = join(checkout, 'flower');
  const bin = (name: string) => join(checkout, 'node_modules', '.bin', name);
  return [
    {
      name: 'derived files',
      remedy: 'npm run generate',
      run: async () => (await staleFiles()).map(file => `${file} is stale`).join('\n'),
    },
    {
      name: 'formatting and lint',
      remedy: 'npx biome check --write',
      run: command(bin('biome'), ['check', '--error-on-warnings', '.']),
    },
    { name: 'types', remedy: 'correct the types', run: command(bin('tsc'), ['--project', '.']) },
    {
      name: 'import directions',
      remedy: 'see .dependency-cruiser.mjs',
      run: command(bin('depcruise'), ['packages', 'tools', 'tests', '--no-progress']),
    },
    { name: 'dead code', remedy: 'delete it', run: command(bin('knip'), ['--no-progress']) },
    {
      name: 'Python formatting',
      remedy: 'ruff format',
      run: command(python, ['-m', 'ruff', 'format', '--check', '.'], flower),
    },
    { name: 'Python lint', remedy: 'ruff check --fix', run: command(python, ['-m', 'ruff', 'check', '.'], flower) },
    { name: 'Python types', remedy: 'correct the types', run: command(python, ['-m', 'mypy'], flower) },
  ];
}

/** Runs all checks and says how each went. @returns how many passed and failed. */
export async function runChecks(python: string): Promise<{ passed: number; failed: number }> {
  const tally = { passed: 0, failed: 0 };
  for (const check of checks(python)) {
    const started = Date.now();
    const failures = await check.run();
    const seconds = ((Date.now() - started) / 1000).toFixed(1);
    if (failures === '') {
      tally.passed++;
      say(`  ok      ${check.name} (${seconds} s)`);
    } else {
      tally.failed++;
      say(`  failed  ${check.name} (${seconds} s); to mend it: ${check.remedy}\n${failures}`);
    }
  }
  return tally;
}

function command(file: string, args: string[], cwd = checkout): () => Promise<string> {
  return async () => {
    const { status, stdout, stderr, error } = spawnSync(file, args, {
      cwd,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    });
    if (error) return error.message;
    return status === 0 ? '' : `${stdout}${stderr}`.trim() || `ended with ${status}`;
  };
}
