import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkout, ensureSoftware } from '../packages/cli/src/runtime/index.ts';
import { defaultFlowerVersion } from '../packages/contract/src/index.ts';
import { benches } from './bench/benches.ts';
import { figuresPage, type Measured, machineKind, type Report, textOf } from './bench/page.ts';
import { say, setUpTests } from './setup.ts';

const asJson = process.argv.includes('--json');
const writes = process.argv.includes('--write');
const names = process.argv.slice(2).filter(argument => !argument.startsWith('--'));
const unknown = names.filter(name => !Object.hasOwn(benches, name));
if (unknown.length > 0) {
  console.error(`There is no bench ${unknown.join(', ')}. There are: ${Object.keys(benches).join(', ')}.`);
  process.exit(2);
}

const { environment, python } = await setUpTests();
Object.assign(process.env, environment);
const software = await ensureSoftware(say);
const flower = (program: string) => join(software.software, 'versions', defaultFlowerVersion, 'bin', program);
const measured: Measured[] = [];
for (const [name, { what, run }] of Object.entries(benches)) {
  if (names.length > 0 && !names.includes(name)) continue;
  say(`${name}: ${what}`);
  const figures = await run({ python, software, flower, say });
  measured.push({ bench: name, what, date: new Date().toISOString().slice(0, 10), figures });
  if (asJson) continue;
  for (const figure of figures)
    console.log(`  ${figure.name}: ${textOf(figure)}${figure.goal ? ` (goal: ${figure.goal})` : ''}`);
}
const report: Report = { schemaVersion: 1, machine: machineKind(), measured };
if (asJson) console.log(JSON.stringify(report, undefined, 2));
if (writes) {
  const page = join(checkout, 'docs', 'figures.md');
  await writeFile(page, figuresPage(report, Object.keys(benches), await readFile(page, 'utf8').catch(() => '')));
  say(`Wrote ${page}`);
}
