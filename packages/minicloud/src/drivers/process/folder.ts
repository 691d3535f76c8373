import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { OneFlowerError } from '@oneflower/contract';
import * as z from 'zod';
import type { DriverVm } from '../../interfaces.ts';
import type { AgentRecord } from './members.ts';

const recordSchema = z.object({ pid: z.int().positive(), startTime: z.number(), bootId: z.string() });
const noteSchema = z.object({ id: z.int(), name: z.string(), address: z.string().nullable() });

/** What is kept of a VM beside its disk: enough to start its agent again after the cloud was away. */
export interface VmNote {
  id: number;
  name: string;
  address: string | undefined;
}

/** Above this size the log is moved to `agent.log.1`. */
export const longestLog = 10 * 1024 * 1024;

/**
 * As root, the agent runs Flower as an unprivileged user, who must reach its files in `root/` as in a VM of its own: what
 * is secret there is protected by its own mode. An ordinary user's agent changes to nobody else, and all stays closed.
 */
function passable(): boolean {
  return process.getuid?.() === 0;
}

/** The folder that stands for one VM. Its CONTEXT CD, its log and our notes are for their owner only. */
export class VmFolder {
  readonly path: string;
  readonly root: string;
  readonly context: string;
  readonly log: string;
  readonly #record: string;
  readonly #note: string;

  constructor(path: string) {
    this.path = path;
    this.root = join(path, 'root');
    this.context = join(path, 'context');
    this.log = join(path, 'agent.log');
    this.#record = join(path, 'agent.pid');
    this.#note = join(path, 'vm.json');
  }

  /** Makes the folders and writes the CONTEXT CD; what is in `root/` stays. */
  prepare(vm: DriverVm): void {
    mkdirSync(this.path, { recursive: true, mode: passable() ? 0o711 : 0o700 });
    mkdirSync(this.root, { recursive: true, mode: passable() ? 0o755 : 0o700 });
    this.writeContext(vm.contextFiles);
    const note = { id: vm.id, name: vm.name, address: vm.address ?? null };
    writeWhole(this.#note, `${JSON.stringify(note)}\n`);
  }

  /** Each file is replaced in one step; a file that the new CD lacks goes last. */
  writeContext(files: Record<string, string>): void {
    mkdirSync(this.context, { recursive: true, mode: 0o700 });
    for (const [name, text] of Object.entries(files)) {
      if (!/^\w[\w.-]*$/.test(name)) throw new OneFlowerError(badName(name));
      writeWhole(join(this.context, name), text);
    }
    for (const name of readdirSync(this.context)) {
      if (!Object.hasOwn(files, name)) rmSync(join(this.context, name), { recursive: true, force: true });
    }
  }

  /** What `prepare` noted; undefined when the VM was never started here. */
  note(): VmNote | undefined {
    const note = noteSchema.safeParse(readJson(this.#note)).data;
    return note && { id: note.id, name: note.name, address: note.address ?? undefined };
  }

  /** The agent that was started last; it is there as long as the VM counts as switched on. */
  record(): AgentRecord | undefined {
    return recordSchema.safeParse(readJson(this.#record)).data;
  }

  writeRecord(record: AgentRecord): void {
    writeWhole(this.#record, `${JSON.stringify(record)}\n`);
  }

  removeRecord(): void {
    rmSync(this.#record, { force: true });
  }

  /**
   * Moves a log that has grown too long to `agent.log.1`. The agent keeps the file open for appending, so the text is
   * copied and the file emptied; what is written in between is lost.
   */
  rotateLog(limit = longestLog): void {
    const size = statSync(this.log, { throwIfNoEntry: false })?.size ?? 0;
    if (size <= limit) return;
    const copy = `${this.log}.1.new`;
    try {
      copyFileSync(this.log, copy);
      renameSync(copy, `${this.log}.1`);
    } catch {
      // No room for the copy: then the old text goes, which makes some.
      rmSync(copy, { force: true });
    }
    truncateSync(this.log, 0);
  }

  /** Removes the VM for good. */
  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

function writeWhole(path: string, text: string): void {
  const fresh = `${path}.new`;
  writeFileSync(fresh, text, { mode: 0o600, flush: true });
  renameSync(fresh, path);
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    // Missing, or cut off when the machine went down: the same as never written.
    return undefined;
  }
}

function badName(name: string): { code: string; message: string; fault: 'bug' } {
  return {
    code: 'bad-context-file',
    message: `The context cannot hold a file named ${JSON.stringify(name)}.`,
    fault: 'bug',
  };
}
