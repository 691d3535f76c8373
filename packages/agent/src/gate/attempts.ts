import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import type { Clock } from '@oneflower/contract';
import { bearerOf, matchesHash } from './bearer.ts';
import type { HttpRequest } from './types.ts';

const windowMs = 60_000;
/** Wrong tokens of one address in a minute that are answered as such: a node that is set up wrongly asks again. */
const allowed = 20;
/** Different ones, after which no token of that address is looked at: so many are tried by guessing alone. */
const guesses = 200;
const remembered = 1000;

/** How a token was found: `wrong-again` is one of too many from there. */
export type TokenVerdict = 'right' | 'wrong' | 'wrong-again';

/** Checks the tokens of requests, so that nobody can try many. */
export interface Attempts {
  /**
   * The right token is right whatever others behind the same address send (NAT, an embedded cloud), unless somebody
   * there is guessing.
   *
   * @param sha256Hex SHA-256 of the right token.
   */
  judge(request: HttpRequest, sha256Hex: string): TokenVerdict;
}

interface Count {
  since: number;
  wrong: number;
  /** Beginnings of the hashes of the different wrong tokens. */
  tried: Set<string>;
}

export function createAttempts(clock: Clock): Attempts {
  const counts = new Map<string, Count>();
  function countOf(network: string): Count {
    const count = counts.get(network);
    if (count && clock.now() - count.since < windowMs) return count;
    return { since: clock.now(), wrong: 0, tried: new Set() };
  }
  function keep(network: string, count: Count): void {
    counts.delete(network);
    counts.set(network, count);
    const oldest = counts.keys().next().value;
    if (counts.size > remembered && oldest !== undefined) counts.delete(oldest);
  }
  return {
    judge(request, sha256Hex) {
      const network = networkOf(request.socket.remoteAddress ?? '');
      const token = bearerOf(request) ?? '';
      const count = countOf(network);
      if (count.tried.size >= guesses) return 'wrong-again';
      if (matchesHash(token, sha256Hex)) return 'right';
      count.wrong++;
      count.tried.add(createHash('sha256').update(token).digest('base64').slice(0, 8));
      keep(network, count);
      return count.wrong > allowed ? 'wrong-again' : 'wrong';
    },
  };
}

/** An IPv6 client has a /64 to itself. */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.startsWith('::ffff:')) return address;
  const [head = '', tail = ''] = address.split('::');
  const before = head.split(':').filter(Boolean);
  const after = tail.split(':').filter(Boolean);
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0');
  return [...before, ...zeros, ...after].slice(0, 4).join(':');
}
