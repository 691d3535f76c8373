import { createHash, timingSafeEqual } from 'node:crypto';
import type { HttpRequest } from './types.ts';

/** The token of `Authorization: Bearer TOKEN`, or undefined. */
export function bearerOf(request: HttpRequest): string | undefined {
  return /^Bearer ([!-~]{1,512})$/i.exec(request.headers.authorization ?? '')?.[1];
}

/** Compares a token with the SHA-256 of the right one in time that does not depend on either. */
export function matchesHash(token: string, sha256Hex: string): boolean {
  const wanted = Buffer.from(sha256Hex, 'hex');
  const given = createHash('sha256').update(token).digest();
  return wanted.length === given.length && timingSafeEqual(given, wanted);
}
