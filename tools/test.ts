import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkout } from '../packages/cli/src/runtime/index.ts';
import { runChecks } from './checks.ts';
import { type PythonTests, say, setUpFrameworkTests, setUpTests } from './setup.ts';

interface Tally {
  passed: number;
  failed: number;
}

/** Most of them compute on one core; tests of one file may share what they start. */
const twoAtOnce = ['-n', '2', '--dist', 'loadfile'];
const full = process.argv.includes('--full');
const started = Date.now();
const setUp = await setUpTests();
const { environment, python } = setUp;
const frameworkTests = full ? await setUpFrameworkTests(setUp) : [];
const pytest: PythonTests['pytest'] = [python, '-m', 'pytest', ...twoAtOnce];
const reports = mkdtempSync(join(tmpdir(), 'oneflower-tests-'));
try {
  say('Static checks');
  const tallies = [await runChecks(python), await runPytest({ pytest, folder: 'tests' })];
  if (full) tallies.push(await runPytest({ pytest, folder: 'tests/long' }));
  for (const tests of frameworkTests) tallies.push(await runPytest(tests));
  tallies.push(await runVitest());
  const total = tallies.reduce((sum, tally) => ({
    passed: sum.passed + tally.passed,
    failed: sum.failed + tally.failed,
  }));
  say(`All of it took ${Math.round((Date.now() - started) / 1000)} s.`);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  process.exitCode = total.failed > 0 ? 1 : 0;
} finally {
  rmSync(reports, { recursive: true, force: true });
}

async function runPytest({ pytest: [file, ...words], folder }: PythonTests): Promise<Tally> {
  say(`Python tests in flower/${folder}`);
  const report = join(reports, 'pytest.xml');
  const status = await run(file, [...words, '-q', `--junitxml=${report}`, folder], join(checkout, 'flower'));
  const suite = /<testsuite [^>]*>/.exec(readFileSync(report, 'utf8'))?.[0] ?? '';
  const number = (name: string) => Number(new RegExp(` ${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
  const failed = number('failures') + number('errors') + number('skipped');
  return { passed: number('tests') - failed, failed: status === 0 ? failed : Math.max(failed, 1) };
}

async function runVitest(): Promise<Tally> {
  say(`TypeScript tests${full ? ', the long ones included' : ''}`);
  const report = join(reports, 'vitest.json');
  const vitest = join(checkout, 'node_modules', '.bin', 'vitest');
  const status = await run(
    vitest,
    ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
    checkout,
  );
  const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(readFileSync(report, 'utf8'));
  if (numPendingTests > 0) say(`Not run: ${numPendingTests} tests. npm run test:full, as root, runs every one.`);
  return { passed: numPassedTests, failed: status === 0 ? numFailedTests : Math.max(numFailedTests, 1) };
}

function run(file: string, args: string[], cwd: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd,
      env: { ...environment, ...(full ? { ONEFLOWER_FULL: '1' } : {}) },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    child.on('error', reject);
    child.on('close', code => resolve(code ?? 1));
  });
}
