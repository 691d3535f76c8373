import { benches, type Figure } from './bench/benches.ts';
import { say, setUpTests } from './setup.ts';

const asJson = process.argv.includes('--json');
const names = process.argv.slice(2).filter(argument => !argument.startsWith('--'));
const unknown = names.filter(name => !Object.hasOwn(benches, name));
if (unknown.length > 0) {
  console.error(`There is no bench ${unknown.join(', ')}. There are: ${Object.keys(benches).join(', ')}.`);
  process.exit(2);
}

const { environment, python } = await setUpTests();
Object.assign(process.env, environment);
const figures: Figure[] = [];
for (const [name, bench] of Object.entries(benches)) {
  if (names.length > 0 && !names.includes(name)) continue;
  say(`${name}: ${bench.what}`);
  const measured = await bench.run({ python, say });
  figures.push(...measured);
  if (!asJson)
    for (const figure of measured)
      console.log(`  ${figure.name}: ${figure.value} ${figure.unit}${figure.goal ? ` (goal: ${figure.goal})` : ''}`);
}
if (asJson) console.log(JSON.stringify({ schemaVersion: 1, figures }, undefined, 2));
