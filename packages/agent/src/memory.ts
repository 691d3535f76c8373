import type { Readable } from 'node:stream';

// The agent is started with `--expose-gc`; without it nothing is collected here, and V8 does so when it sees fit.

/**
 * So much may pass before its buffers are given back. With more of it, more dead buffers are held; with less, more of
 * those under way outlive two collections, and are then held until a full one.
 */
const bytesBetween = 768 * 1024;

let passed = 0;

/**
 * Keeps what streams through the gate from piling up. Node allocates a buffer for each read, outside V8's heap, whose
 * few bytes of handles let V8 wait long with a collection: some 10 MB of dead buffers for a model of 100 MB. What the
 * minor collections cost in time is in the ratio of `npm run bench -- gate`.
 */
export function collectBuffersOf(stream: Readable): void {
  stream.on('data', (chunk: Buffer) => {
    passed += chunk.length;
    if (passed < bytesBetween) return;
    passed = 0;
    void globalThis.gc?.({ type: 'minor' });
  });
}

/** Gives back what only the boot needed, compiled code included: some 2 MB, in about 20 ms. */
export function collectAll(): void {
  void globalThis.gc?.({ type: 'major', flavor: 'last-resort' });
}
