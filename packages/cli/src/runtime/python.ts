import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { OneFlowerError } from '@oneflower/contract';

const run = promisify(execFile);

/** A Python interpreter that can carry Flower. */
export interface Python {
  file: string;
  /** `3.11` */
  release: string;
}

const probe = [
  'import json, sys',
  'try:\n import ensurepip, venv; venv = True\nexcept ImportError:\n venv = False',
  'print(json.dumps({"release": "%d.%d" % sys.version_info[:2], "minor": sys.version_info[1], "major": sys.version_info[0],' +
    ' "file": sys.executable, "prefix": sys.base_prefix, "venv": venv}))',
].join('\n');

interface Probe {
  release: string;
  major: number;
  minor: number;
  file: string;
  prefix: string;
  venv: boolean;
}

/**
 * The first interpreter on PATH, or in /usr/bin, that is Python 3.11 or newer, can make virtual environments, and,
 * where Flower is to run as another user, lies where that user can read it.
 * @throws OneFlowerError `python-missing`, which says what was found and why it does not serve.
 */
export async function findPython(options: { path: string; forOtherUser: boolean }): Promise<Python> {
  const refused: string[] = [];
  for (const file of candidates(options.path)) {
    const found = await inspect(file);
    if (!found) continue;
    const objection = objectionTo(found, options.forOtherUser);
    if (!objection) return { file, release: found.release };
    refused.push(`${file}: ${objection}`);
  }
  throw new OneFlowerError({
    code: 'python-missing',
    message: 'There is no Python that can carry Flower.',
    reason: refused.length > 0 ? `${refused.join('; ')}.` : 'No python3 is on PATH.',
    remedy:
      'Install Python 3.11 or newer with its venv module (Debian and Ubuntu: apt-get install python3 python3-venv).',
  });
}

function candidates(path: string): string[] {
  const names = ['python3.13', 'python3.12', 'python3.11', 'python3'];
  const folders = [...path.split(delimiter).filter(Boolean), '/usr/bin', '/usr/local/bin'];
  const files = folders.flatMap(folder => names.map(name => join(folder, name)));
  return [...new Set(files)].filter(file => statSync(file, { throwIfNoEntry: false })?.isFile());
}

async function inspect(file: string): Promise<Probe | undefined> {
  try {
    const { stdout } = await run(file, ['-c', probe], { timeout: 20_000 });
    return JSON.parse(stdout) as Probe;
  } catch {
    return undefined;
  }
}

function objectionTo(found: Probe, forOtherUser: boolean): string | undefined {
  if (found.major !== 3 || found.minor < 11) return `is Python ${found.release}`;
  if (!found.venv) return 'lacks the venv module';
  if (forOtherUser && !(isOpenToAll(found.file) && isOpenToAll(found.prefix))) {
    return 'lies in a folder that only its owner may enter, and Flower runs as an unprivileged user';
  }
  return undefined;
}

/** Whether every folder above a path lets any user through. */
export function isOpenToAll(path: string): boolean {
  for (let folder = path; ; folder = dirname(folder)) {
    const stat = statSync(folder, { throwIfNoEntry: false });
    if (!stat || (stat.mode & 0o001) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}
