import { createCipheriv, timingSafeEqual } from 'node:crypto';

/** What a VM's OneGate token is made from; see `Oned.gateSecret`. */
export interface TokenParts {
  vmId: number;
  /** STIME of the VM, seconds since the epoch. */
  startTime: number;
  /** TOKEN_PASSWORD in the template of the user who created the VM. */
  tokenPassword: string;
}

const KEY_LENGTH = 32;

/**
 * The token that the CONTEXT CD of a VM holds: base64 of AES-256-CBC over `VMID:STIME`, key the first 32 characters of
 * TOKEN_PASSWORD, initial vector of zeros, PKCS#7 padding (recorded in `guest/token-vectors.json`).
 *
 * @throws RangeError when TOKEN_PASSWORD has fewer than 32 characters
 */
export function makeToken(parts: TokenParts): string {
  return encrypt(parts).toString('base64');
}

/** Whether `presented` is the VM's token. Base64 is read leniently, as the real server does: rubbish behind it is no fault. */
export function verifyToken(presented: string, parts: TokenParts): boolean {
  const given = Buffer.from(presented, 'base64');
  const wanted = encrypt(parts);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

function encrypt({ vmId, startTime, tokenPassword }: TokenParts): Buffer {
  const key = Buffer.from(tokenPassword.slice(0, KEY_LENGTH), 'latin1');
  const cipher = createCipheriv('aes-256-cbc', key, Buffer.alloc(16));
  return Buffer.concat([cipher.update(`${vmId}:${startTime}`, 'utf8'), cipher.final()]);
}
