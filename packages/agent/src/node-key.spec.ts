import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert, property, string, uint8Array } from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { flowerPython } from './flower-control/testing.ts';
import { ensureNodeKey, openSshPublicKey, parseOpenSshPublicKey } from './node-key.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'agent-key-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('ensureNodeKey', () => {
  it('makes a key once and keeps it', async () => {
    const file = join(folder, 'node.key');
    const first = await ensureNodeKey(file);
    const content = await readFile(file, 'utf8');
    expect(await ensureNodeKey(file)).toEqual(first);
    expect(await readFile(file, 'utf8')).toBe(content);
    expect(first.publicKey).toMatch(/^ecdsa-sha2-nistp384 [A-Za-z0-9+/]+=*$/);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('writes what the cryptography library of Flower reads, with the same public key', async () => {
    for (let index = 0; index < 6; index++) {
      const { file, publicKey } = await ensureNodeKey(join(folder, `${index}.key`));
      const read = execFileSync(flowerPython(), ['-c', readKeyProgram, file], { encoding: 'utf8' });
      expect(read.trim()).toBe(publicKey);
    }
  });

  it('refuses a damaged key file rather than changing the identity', async () => {
    const { file } = await ensureNodeKey(join(folder, 'node.key'));
    const text = await readFile(file, 'utf8');
    for (const damaged of [
      '',
      'garbage',
      text.slice(0, text.length / 2),
      text.replace(/\n[^-]{20}/, '\nAAAAAAAAAAAAAAAAAAAA'),
    ]) {
      await writeFile(file, damaged);
      await expect(ensureNodeKey(file)).rejects.toMatchObject({ code: 'node-key-damaged' });
    }
  });
});

describe('a key file that was planted', () => {
  it('is refused when it is a link', async () => {
    const { file } = await ensureNodeKey(join(folder, 'node.key'));
    await symlink(file, join(folder, 'link.key'));
    await expect(ensureNodeKey(join(folder, 'link.key'))).rejects.toMatchObject({ code: 'node-key-damaged' });
  });
});

describe('parseOpenSshPublicKey', () => {
  it('reads back every curve', () => {
    for (const namedCurve of ['P-256', 'P-384', 'P-521']) {
      const key = createPublicKey(generateKeyPairSync('ec', { namedCurve }).privateKey);
      const parsed = parseOpenSshPublicKey(openSshPublicKey(key));
      expect(parsed?.equals(key)).toBe(true);
    }
  });

  it('refuses a point that is not on the curve', () => {
    const line = openSshPublicKey(createPublicKey(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey));
    const blob = Buffer.from(line.split(' ')[1] ?? '', 'base64');
    blob[blob.length - 1] = (blob.at(-1) ?? 0) ^ 1;
    expect(parseOpenSshPublicKey(`ecdsa-sha2-nistp384 ${blob.toString('base64')}`)).toBeUndefined();
  });

  it('never throws on hostile input', () => {
    assert(property(string(), text => parseOpenSshPublicKey(text) === undefined));
    assert(
      property(
        uint8Array({ maxLength: 200 }),
        bytes => parseOpenSshPublicKey(`ecdsa-sha2-nistp384 ${Buffer.from(bytes).toString('base64')}`) === undefined,
      ),
    );
  });
});

const readKeyProgram = `
import sys
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, Encoding, PublicFormat
key = load_ssh_private_key(open(sys.argv[1], 'rb').read(), None)
print(key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())
`;
