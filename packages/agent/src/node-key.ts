import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { constants, type FileHandle, open } from 'node:fs/promises';
import { messageOf, OneFlowerError } from '@oneflower/contract';
import { type FileOwner, writeFileAtomic } from './files.ts';

/** A SuperNode's identity: kept for the life of the VM. */
export interface NodeKey {
  /** OpenSSH private key file, as `flower-supernode --auth-supernode-private-key` takes it. */
  file: string;
  /** OpenSSH public key line without a comment. */
  publicKey: string;
}

interface Curve {
  /** Name in OpenSSH keys (RFC 5656). */
  ssh: string;
  /** Name in JSON Web Keys. */
  jwk: string;
  /** Length of a coordinate in bytes. */
  bytes: number;
}

const curves: readonly Curve[] = [
  { ssh: 'nistp256', jwk: 'P-256', bytes: 32 },
  { ssh: 'nistp384', jwk: 'P-384', bytes: 48 },
  { ssh: 'nistp521', jwk: 'P-521', bytes: 66 },
];

/**
 * Loads the node's key, or makes one (EC P-384) when there is none. Flower refuses PEM keys (exit code 302), so the
 * file has OpenSSH's own format, without a passphrase.
 *
 * @throws OneFlowerError `node-key-damaged` when the file is there but is no such key: replacing it by itself would
 * change the node's identity; `state_write_failed` when it cannot be written.
 */
export async function ensureNodeKey(file: string, owner?: FileOwner): Promise<NodeKey> {
  const existing = await readOwned(file, owner);
  if (existing !== undefined) return { file, publicKey: publicKeyOfOpenSshPrivateKey(existing, file) };
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  await writeFileAtomic(file, openSshPrivateKey(privateKey), { mode: 0o600, owner });
  return { file, publicKey: openSshPublicKey(createPublicKey(privateKey)) };
}

/** The OpenSSH line of an EC public key: `ecdsa-sha2-nistp384 BASE64`. */
export function openSshPublicKey(key: KeyObject): string {
  const { curve, point } = pointOf(key);
  const type = `ecdsa-sha2-${curve.ssh}`;
  return `${type} ${publicBlob(curve, point).toString('base64')}`;
}

/**
 * The key of an OpenSSH line, or undefined when the line is not that of an EC key on a NIST curve. A point that is not
 * on the curve is refused too.
 */
export function parseOpenSshPublicKey(line: string): KeyObject | undefined {
  const [type, encoded] = line.trim().split(/\s+/);
  if (type === undefined || encoded === undefined) return undefined;
  const blob = Buffer.from(encoded, 'base64');
  const [innerType, afterType] = readString(blob, 0);
  const [curveName, afterCurve] = readString(blob, afterType);
  const [point, end] = readString(blob, afterCurve);
  const curve = curves.find(({ ssh }) => ssh === curveName?.toString('latin1'));
  if (!curve || innerType?.toString('latin1') !== type || type !== `ecdsa-sha2-${curve.ssh}`) return undefined;
  if (point?.length !== 1 + 2 * curve.bytes || point[0] !== 4 || end !== blob.length) return undefined;
  return keyOfPoint(curve, point);
}

function keyOfPoint({ jwk, bytes }: Curve, point: Buffer): KeyObject | undefined {
  const x = point.subarray(1, 1 + bytes).toString('base64url');
  const y = point.subarray(1 + bytes).toString('base64url');
  try {
    return createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: jwk, x, y } });
  } catch {
    return undefined;
  }
}

/** The file format is OpenSSH's PROTOCOL.key: magic, cipher, kdf, number of keys, public blob, private section. */
function openSshPrivateKey(key: KeyObject): string {
  const { curve, point, d } = pointOf(key);
  const check = randomBytes(4);
  const section = Buffer.concat([
    check,
    check,
    string(`ecdsa-sha2-${curve.ssh}`),
    string(curve.ssh),
    string(point),
    string(mpint(d)),
    string(''),
  ]);
  const padding = Buffer.from(Array.from({ length: (8 - (section.length % 8)) % 8 }, (_, index) => index + 1));
  const body = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    string('none'),
    string('none'),
    string(''),
    uint32(1),
    string(publicBlob(curve, point)),
    string(Buffer.concat([section, padding])),
  ]);
  const lines = body.toString('base64').match(/.{1,70}/g) ?? [];
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

function publicKeyOfOpenSshPrivateKey(text: string, file: string): string {
  const match = /-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END OPENSSH PRIVATE KEY-----/.exec(text);
  const body = Buffer.from(match?.[1] ?? '', 'base64');
  const magic = 'openssh-key-v1\0';
  if (body.subarray(0, magic.length).toString('latin1') !== magic) throw damaged(file, 'It is no OpenSSH key');
  const [, afterCipher] = readString(body, magic.length);
  const [, afterKdf] = readString(body, afterCipher);
  const [, afterOptions] = readString(body, afterKdf);
  const [blob, afterBlob] = readString(body, afterOptions + 4);
  const [section, end] = readString(body, afterBlob);
  const [type] = readString(blob ?? Buffer.alloc(0), 0);
  const line = `${type?.toString('latin1')} ${blob?.toString('base64')}`;
  const key = parseOpenSshPublicKey(line);
  if (!section || end !== body.length || !key) throw damaged(file, 'It is cut off or of another type');
  assertPair(section, key, file);
  return openSshPublicKey(key);
}

/** A half-written or patched file must not pass for the node's identity. */
function assertPair(section: Buffer, publicKey: KeyObject, file: string): void {
  const { curve, point } = pointOf(publicKey);
  const [, afterType] = readString(section, 8);
  const [, afterCurve] = readString(section, afterType);
  const [, afterPoint] = readString(section, afterCurve);
  const [secret] = readString(section, afterPoint);
  const digits = secret?.subarray(Math.max(0, (secret?.length ?? 0) - curve.bytes));
  const d = Buffer.concat([Buffer.alloc(curve.bytes - (digits?.length ?? 0)), digits ?? Buffer.alloc(0)]);
  const x = point.subarray(1, 1 + curve.bytes).toString('base64url');
  const y = point.subarray(1 + curve.bytes).toString('base64url');
  const jwk = { kty: 'EC', crv: curve.jwk, x, y, d: d.toString('base64url') };
  try {
    createPrivateKey({ format: 'jwk', key: jwk });
  } catch (error) {
    throw damaged(file, messageOf(error));
  }
}

function damaged(file: string, why: string): OneFlowerError {
  return new OneFlowerError({
    code: 'node-key-damaged',
    message: `The node's key ${file} cannot be read.`,
    reason: `${why}.`,
    remedy: `Restore the file, or delete it: the node then enrols anew under another identity.`,
    details: { path: file },
  });
}

function pointOf(key: KeyObject): { curve: Curve; point: Buffer; d: Buffer } {
  const jwk = key.export({ format: 'jwk' });
  const curve = curves.find(candidate => candidate.jwk === jwk.crv);
  if (!curve || jwk.x === undefined || jwk.y === undefined) {
    throw new OneFlowerError({ code: 'bad-public-key', message: 'The key is not an EC key on a NIST curve.' });
  }
  const [x, y] = [Buffer.from(jwk.x, 'base64url'), Buffer.from(jwk.y, 'base64url')];
  return { curve, point: Buffer.concat([Buffer.from([4]), x, y]), d: Buffer.from(jwk.d ?? '', 'base64url') };
}

function publicBlob(curve: Curve, point: Buffer): Buffer {
  return Buffer.concat([string(`ecdsa-sha2-${curve.ssh}`), string(curve.ssh), string(point)]);
}

/** A positive number of the SSH wire: no needless leading zeros, one where the top bit is set (RFC 4251). */
function mpint(digits: Buffer): Buffer {
  let start = 0;
  while (start < digits.length - 1 && digits[start] === 0) start++;
  const trimmed = digits.subarray(start);
  return (trimmed[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.from([0]), trimmed]) : trimmed;
}

function uint32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
}

function string(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint32(bytes.length), bytes]);
}

function readString(from: Buffer, offset: number): [Buffer | undefined, number] {
  if (offset < 0 || offset + 4 > from.length) return [undefined, -1];
  const end = offset + 4 + from.readUInt32BE(offset);
  return end > from.length ? [undefined, -1] : [from.subarray(offset + 4, end), end];
}

/** The file's text, its owner and mode put right; undefined when there is none. A link is not followed. */
async function readOwned(file: string, owner: FileOwner | undefined): Promise<string | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (code === 'ELOOP') throw damaged(file, 'It is a link');
    throw error;
  }
  try {
    if (owner) await handle.chown(owner.uid, owner.gid);
    await handle.chmod(0o600);
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}
