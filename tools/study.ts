import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkout } from '../packages/cli/src/runtime/index.ts';
import { say, setUpTests } from './setup.ts';
import { type StudyDocument, studyDocument } from './study/document.ts';
import { studyPage } from './study/page.ts';
import { plot } from './study/plot.ts';
import { studies } from './study/studies.ts';

const asked = process.argv.slice(2);
const unknown = asked.filter(name => !Object.hasOwn(studies, name));
if (unknown.length > 0) {
  console.error(`There is no study ${unknown.join(', ')}. There are: ${Object.keys(studies).join(', ')}.`);
  process.exit(2);
}

const { environment, python } = await setUpTests();
const folder = join(checkout, 'docs', 'studies');
await mkdir(folder, { recursive: true });
for (const [name, study] of Object.entries(studies)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  const document = await make(study.module);
  await writeFile(join(folder, `${name}.svg`), plot(document.tables, study.title));
  await writeFile(join(folder, `${name}.md`), studyPage(name, study, document));
  say(`Wrote ${join(folder, `${name}.md`)}`);
}

/** Runs a module of flower/studies, whose progress goes to stderr. */
async function make(module: string): Promise<StudyDocument> {
  const flower = join(checkout, 'flower');
  const study = spawn(python, ['-m', module], {
    cwd: flower,
    // One thread: more of them only get in one another's way with models as small as these.
    env: {
      ...process.env,
      ...environment,
      PYTHONPATH: `${join(flower, 'src')}:${flower}`,
      OMP_NUM_THREADS: '1',
      OPENBLAS_NUM_THREADS: '1',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<number>((resolve, reject) => {
    study.once('error', reject);
    study.once('close', code => resolve(code ?? 1));
  });
  const chunks: Buffer[] = [];
  for await (const chunk of study.stdout) chunks.push(chunk);
  const code = await ended;
  if (code !== 0) throw new Error(`python -m ${module} ended with ${code}; its own words are above.`);
  return studyDocument.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')));
}
