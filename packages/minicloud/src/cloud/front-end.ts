import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { OneFlowerError } from '@oneflower/contract';
import * as z from 'zod';
import type { CloudFiles } from './files.ts';

/** Where a cloud is reached. */
export interface CloudEndpoints {
  /** oned's XML-RPC, path included: what ONE_XMLRPC holds. */
  xmlrpc: string;
  /** OneFlow: what ONEFLOW_URL holds. */
  oneflow: string;
  /** OneGate: what VMs find as ONEGATE_ENDPOINT. */
  onegate: string;
  /** Path of the file with the administrator's login: what ONE_AUTH holds. */
  authFile: string;
}

export interface CloudPorts {
  xmlrpc: number;
  oneflow: number;
  onegate: number;
}

/** The ports of a stock OpenNebula. */
export const stockPorts: CloudPorts = { xmlrpc: 2633, oneflow: 2474, onegate: 5030 };

const FIRST_BLOCK = 16;
const LAST_BLOCK = 250;
const BLOCKS = LAST_BLOCK - FIRST_BLOCK + 1;

const blockSchema = z.object({ block: z.int().min(FIRST_BLOCK).max(LAST_BLOCK) });

/** Binds one address of the front end; rejects with the system's error. Its undoing is `release`. */
export interface FrontEndLock {
  bind(host: string): Promise<void>;
  release(): Promise<void>;
}

/** A claimed block 127.X.0.0/16. */
export interface Block {
  number: number;
  /** 127.X.0.1, where the cloud's servers listen. */
  host: string;
}

/** The addresses of a block. */
export function blockOf(number: number): Block {
  return { number, host: `127.${number}.0.1` };
}

/** The endpoints at `host`. */
export function endpointsAt(host: string, ports: CloudPorts, authFile: string): CloudEndpoints {
  return {
    xmlrpc: `http://${host}:${ports.xmlrpc}/RPC2`,
    oneflow: `http://${host}:${ports.oneflow}`,
    onegate: `http://${host}:${ports.onegate}`,
    authFile,
  };
}

/**
 * Takes the cloud's block of loopback addresses, for good at the first start, and holds it by the bound front end:
 * while one process has it, no second one can open the same cloud, and no other cloud can take the block.
 *
 * @throws OneFlowerError `cloud-address-taken`, `no-free-block` or `state-damaged`
 */
export async function claimBlock(files: CloudFiles, lock: FrontEndLock): Promise<Block> {
  const kept = readBlock(files);
  if (kept !== undefined) return claimKept(kept, files, lock);
  const first = createHash('sha256').update(files.directory).digest().readUInt32BE(0) % BLOCKS;
  for (let step = 0; step < BLOCKS; step++) {
    const number = FIRST_BLOCK + ((first + step) % BLOCKS);
    if (!(await tryBind(lock, blockOf(number).host))) continue;
    const chosen = keepBlock(files, number);
    if (chosen === number) return blockOf(number);
    // Another process opened the same directory at the same moment and was first.
    await lock.release();
    return claimKept(chosen, files, lock);
  }
  throw new OneFlowerError({
    code: 'no-free-block',
    message: `No loopback block from 127.${FIRST_BLOCK}.0.0/16 to 127.${LAST_BLOCK}.0.0/16 is free for the cloud.`,
    reason: 'A server on this machine listens on all addresses at one of the ports of the cloud.',
    remedy: 'Stop that server (`ss -ltnp` shows it), or start the cloud with other ports.',
  });
}

async function claimKept(number: number, files: CloudFiles, lock: FrontEndLock): Promise<Block> {
  const block = blockOf(number);
  if (await tryBind(lock, block.host)) return block;
  throw new OneFlowerError({
    code: 'cloud-address-taken',
    message: `The cloud in ${files.directory} cannot listen on its address ${block.host}.`,
    reason: 'The cloud is running already, or another program has taken its ports.',
    remedy: `See which one it is with \`ss -ltnp src ${block.host}\`, and end it.`,
    details: { directory: files.directory, host: block.host },
  });
}

async function tryBind(lock: FrontEndLock, host: string): Promise<boolean> {
  try {
    await lock.bind(host);
    return true;
  } catch (error) {
    if (isTaken(error)) return false;
    throw error;
  }
}

/** Fails with EADDRINUSE when a port is taken. */
export async function probePort(host: string, port: number): Promise<void> {
  const server = createServer();
  server.listen(port, host);
  await once(server, 'listening');
  const closed = once(server, 'close');
  server.close();
  await closed;
}

/** Whether an error says that an address and port are in use. */
export function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}

/**
 * The block that the cloud took at its first start; undefined before it.
 *
 * @throws OneFlowerError `state-damaged`
 */
export function readBlock(files: CloudFiles): number | undefined {
  let text: string;
  try {
    text = readFileSync(files.block, 'utf8');
  } catch {
    return undefined;
  }
  const kept = blockSchema.safeParse(jsonOf(text)).data;
  if (kept) return kept.block;
  throw new OneFlowerError({
    code: 'state-damaged',
    message: `The file ${files.block} does not say which addresses the cloud has.`,
    reason: 'It was changed by hand, or the disk lost part of it.',
    remedy: 'Put the file back, or run `oneflower cloud reset` to begin with a new state.',
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Writes the block unless another process was first; returns the one that holds. */
function keepBlock(files: CloudFiles, number: number): number {
  const fresh = `${files.block}.${process.pid}`;
  writeFileSync(fresh, `${JSON.stringify({ block: number })}\n`, { mode: 0o600, flush: true });
  try {
    linkSync(fresh, files.block);
    return number;
  } catch {
    return readBlock(files) ?? number;
  } finally {
    rmSync(fresh, { force: true });
  }
}
