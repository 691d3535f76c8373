import { mkdir, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { messageOf } from '@oneflower/contract';
import { type Check, type Finding, ok } from './doctor.ts';

const megabyte = 1024 * 1024;
/** The Python environment with scikit-learn has some 700 MB; each VM of the embedded cloud a few MB. */
const enoughSpace = 2048 * megabyte;
const leastSpace = 512 * megabyte;

/** Node 20 starts OneFlower, which then runs on the release that comes with it. */
export function nodeCheck(version: string): Check {
  return {
    id: 'node',
    async run() {
      const major = Number(version.replace(/^v/, '').split('.')[0]);
      if (major >= 20) return ok(`Node ${version}`);
      return { status: 'error', message: `Node ${version} is too old.`, remedy: 'Install Node 20 or newer.' };
    },
  };
}

/** `find` throws, with the remedy, when no interpreter serves. */
export function pythonCheck(find: () => Promise<{ file: string; release: string }>): Check {
  return {
    id: 'python',
    async run() {
      const { file, release } = await find();
      return ok(`Python ${release} (${file})`);
    },
  };
}

/** Space where OneFlower keeps its state. */
export function diskCheck(home: string): Check {
  return {
    id: 'disk',
    async run() {
      try {
        await mkdir(home, { recursive: true, mode: 0o755 });
      } catch (error) {
        const message = `${home} cannot be made: ${messageOf(error)}.`;
        return { status: 'error', message, remedy: 'Set ONEFLOWER_HOME to a folder that you may write into.' };
      }
      const { bavail, bsize } = await statfs(home);
      return space(home, bavail * bsize);
    },
  };
}

function space(home: string, bytes: number): Omit<Finding, 'id'> {
  const message = `${Math.round(bytes / megabyte)} MB are free in ${home}`;
  if (bytes >= enoughSpace) return ok(message);
  const remedy = `Free space, or set ONEFLOWER_HOME to a folder on a larger disk; ${enoughSpace / megabyte} MB are comfortable.`;
  return { status: bytes < leastSpace ? 'error' : 'warning', message: `Only ${message}.`, remedy };
}

/** The embedded cloud as its own status has it. */
export interface EmbeddedState {
  running: boolean;
  /** URLs that it serves, or would serve. */
  urls: string[];
}

export function embeddedCheck(state: () => Promise<EmbeddedState | undefined>): Check {
  return {
    id: 'embedded-cloud',
    async run() {
      const found = await state();
      if (!found) return ok('There is no embedded cloud; oneflower cloud start makes one');
      if (found.running) return ok(`The embedded cloud runs (${found.urls.join(', ')})`);
      return {
        status: 'warning',
        message: 'The embedded cloud is stopped.',
        remedy: 'Start it with oneflower cloud start.',
      };
    },
  };
}

/** Addresses of a stopped embedded cloud on which somebody else listens. */
export function portsCheck(state: () => Promise<EmbeddedState | undefined>): Check {
  return {
    id: 'ports',
    async run() {
      const found = await state();
      if (!found || found.running) return ok('No port is in the way');
      const addresses = found.urls.map(url => new URL(url));
      const taken: string[] = [];
      for (const { host, hostname, port } of addresses) if (!(await isFree(hostname, Number(port)))) taken.push(host);
      if (taken.length === 0) {
        return ok(`The addresses of the embedded cloud are free (${addresses.map(({ host }) => host).join(', ')})`);
      }
      return {
        status: 'error',
        message: `Another process listens on ${taken.join(', ')}, which the embedded cloud uses.`,
        remedy: `Stop it (ss -ltnp shows which it is), or run oneflower cloud reset.`,
      };
    },
  };
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
