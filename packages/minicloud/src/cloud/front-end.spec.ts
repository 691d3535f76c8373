import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type CloudFiles, cloudFiles, prepareDirectory } from './files.ts';
import { claimBlock, type FrontEndLock, readBlock } from './front-end.ts';

let root: string;
let servers: Server[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'front-end-'));
  servers = [];
});

afterEach(async () => {
  for (const server of servers) {
    server.close();
    await once(server, 'close');
  }
  rmSync(root, { recursive: true, force: true });
});

function directory(name: string): CloudFiles {
  const files = cloudFiles(join(root, name));
  prepareDirectory(files.directory);
  return files;
}

/** A lock that listens at a port that is no stock port, so that clouds of other tests are not met. */
function lock(): FrontEndLock & { hosts: string[] } {
  let held: Server | undefined;
  const hosts: string[] = [];
  async function end(): Promise<void> {
    held?.close();
    if (held) await once(held, 'close');
    servers = servers.filter(server => server !== held);
    held = undefined;
  }
  return {
    hosts,
    async bind(host) {
      hosts.push(host);
      const server = createServer();
      server.listen(5031, host);
      await once(server, 'listening');
      held = server;
      servers.push(server);
    },
    release: end,
  };
}

test('a cloud takes a block at its first start and keeps it', async () => {
  const files = directory('a');
  const first = lock();
  const block = await claimBlock(files, first);
  expect(block.host).toMatch(/^127\.\d+\.0\.1$/);
  expect(block.number).toBeGreaterThanOrEqual(16);
  expect(block.number).toBeLessThanOrEqual(250);
  expect(readBlock(files)).toBe(block.number);
  await first.release();
  expect(await claimBlock(files, lock())).toEqual(block);
});

test('no two clouds have the same block', async () => {
  const blocks = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map(name => claimBlock(directory(name), lock())));
  expect(new Set(blocks.map(({ number }) => number)).size).toBe(6);
});

test('a block that is taken at the first start is passed over', async () => {
  const probe = lock();
  const wanted = await claimBlock(directory('a'), probe);
  rmSync(cloudFiles(join(root, 'a')).block);
  const other = lock();
  const block = await claimBlock(directory('a'), other);
  expect(block.number).not.toBe(wanted.number);
  expect(other.hosts[0]).toBe(wanted.host);
});

test('the same cloud cannot be opened twice', async () => {
  const files = directory('a');
  await claimBlock(files, lock());
  await expect(claimBlock(files, lock())).rejects.toMatchObject({ code: 'cloud-address-taken', fault: 'environment' });
});

test('two first starts of the same cloud at once: one has it, the other is told', async () => {
  const files = directory('a');
  const both = await Promise.allSettled([claimBlock(files, lock()), claimBlock(files, lock())]);
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
});

test('a damaged note of the block is no reason to take another', async () => {
  const files = directory('a');
  writeFileSync(files.block, '{"block": 3}');
  await expect(claimBlock(files, lock())).rejects.toMatchObject({ code: 'state-damaged' });
});

test('a directory that cannot be made is refused with the reason', () => {
  writeFileSync(join(root, 'file'), '');
  expect(() => prepareDirectory(join(root, 'file', 'cloud'))).toThrow(
    expect.objectContaining({ code: 'directory-not-writable' }),
  );
});

test('nobody else can look into a new directory', () => {
  expect(statSync(directory('a').directory).mode & 0o066).toBe(0);
});

test('a directory of another user is refused', () => {
  const files = directory('a');
  vi.spyOn(process, 'getuid').mockReturnValue(12_345);
  expect(() => prepareDirectory(files.directory)).toThrow(
    expect.objectContaining({ code: 'directory-of-another-user', fault: 'user' }),
  );
});
