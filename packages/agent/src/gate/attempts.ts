import { isIPv6 } from 'node:net';
import type { Clock } from '@oneflower/contract';

const windowMs = 60_000;
const allowed = 20;
const remembered = 10_000;

/** Counts wrong tokens by address, so that nobody can try many. */
export interface Attempts {
  isBlocked(address: string): boolean;
  wrong(address: string): void;
}

export function createAttempts(clock: Clock): Attempts {
  const counts = new Map<string, { since: number; wrong: number }>();
  function current(address: string): { since: number; wrong: number } | undefined {
    const count = counts.get(networkOf(address));
    return count && clock.now() - count.since < windowMs ? count : undefined;
  }
  return {
    isBlocked: address => (current(address)?.wrong ?? 0) >= allowed,
    wrong(address) {
      const count = current(address) ?? { since: clock.now(), wrong: 0 };
      counts.delete(networkOf(address));
      counts.set(networkOf(address), { ...count, wrong: count.wrong + 1 });
      const oldest = counts.keys().next().value;
      if (counts.size > remembered && oldest !== undefined) counts.delete(oldest);
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
