import { FakeClock } from '@oneflower/contract';
import { createOnegateClient } from '@oneflower/opennebula/onegate';
import { describe, expect, it } from 'vitest';
import { failure } from '../failure.ts';
import { keptLog } from '../testing/log.ts';
import { fakeOneGate, type OneGateMood } from '../testing/onegate.ts';
import { notReady, ready } from './attributes.ts';
import { createPublisher } from './publisher.ts';

const noRetry = { attempts: 1, firstDelayMs: 0, maxDelayMs: 0 };

async function world(timeoutMs = 20_000) {
  const gate = await fakeOneGate();
  const clock = new FakeClock();
  const { log, lines } = keptLog(clock);
  const store = createOnegateClient({ endpoint: gate.endpoint, token: 'abc', vmId: 7, retry: noRetry, timeoutMs });
  return { gate, clock, lines, publisher: createPublisher(store, clock, log) };
}

/** Lets the clock run while requests over the network come back in real time. */
async function advance(clock: FakeClock, done: () => boolean): Promise<void> {
  for (let round = 0; round < 4000 && !done(); round++) {
    await clock.advance(1000);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

describe('publisher', () => {
  it('sends all attributes in one request with READY last', async () => {
    const { gate, publisher } = await world();
    const sent = await publisher.publish({ READY: 'YES', FL_READY: 'YES', FL_ENDPOINT: '10.0.0.5:9092', FL_ERROR: '' });
    expect(sent).toBe(true);
    expect(gate.puts).toHaveLength(1);
    expect(Object.keys(gate.puts[0] ?? {})).toEqual(['FL_ENDPOINT', 'FL_ERROR', 'FL_READY', 'READY']);
  });

  it('sends only what is new, and nothing when nothing is', async () => {
    const { gate, publisher } = await world();
    await publisher.publish({ FL_READY: 'NO', FL_ROLE: 'superlink' });
    await publisher.publish({ FL_READY: 'YES', FL_ROLE: 'superlink' });
    await publisher.publish({ FL_READY: 'YES' });
    expect(gate.puts).toEqual([{ FL_ROLE: 'superlink', FL_READY: 'NO' }, { FL_READY: 'YES' }]);
  });

  it.each<OneGateMood>(['refuses', 'crashes', 'hangs', 'garbage'])(
    'says once that OneGate %s, and sends it later by itself',
    async mood => {
      const { gate, clock, lines, publisher } = await world(mood === 'hangs' ? 100 : undefined);
      gate.mood = mood;
      const first = await publisher.publish({ FL_READY: 'NO' });
      // Whatever OneGate answers with success counts as taken: it has no other way to say so.
      expect(first).toBe(mood === 'garbage');
      await advance(clock, () => gate.requests.length >= 3 || mood === 'garbage');
      gate.mood = 'well';
      await publisher.publish({ FL_READY: 'YES' });
      await advance(clock, () => gate.puts.length > 0);
      expect(gate.puts.at(-1)).toEqual({ FL_READY: 'YES' });
      const warnings = lines.filter(line => line.includes('[WARNING]'));
      expect(warnings).toHaveLength(mood === 'garbage' ? 0 : 1);
      publisher.stop();
    },
  );

  it('sets right what somebody else has changed, and says so', async () => {
    const { gate, clock, lines, publisher } = await world();
    await publisher.publish({ FL_READY: 'YES', FL_ENDPOINT: '10.0.0.5:9092', FL_ERROR: '' });
    gate.attributes.FL_ENDPOINT = '10.6.6.6:9092';
    await advance(clock, () => gate.puts.length > 1);
    expect(gate.puts.at(-1)).toEqual({ FL_ENDPOINT: '10.0.0.5:9092' });
    expect(lines.join()).toContain('Somebody else has changed attributes of this VM (FL_ENDPOINT)');
    await advance(clock, () => gate.requests.filter(request => request === 'GET /vm').length > 2);
    expect(gate.puts).toHaveLength(2);
    publisher.stop();
    expect(clock.waiting).toBe(0);
  });

  it('tries nothing again once it was stopped, whatever was under way', async () => {
    const { gate, clock, publisher } = await world();
    gate.mood = 'refuses';
    const sending = publisher.publish({ FL_READY: 'YES' });
    publisher.stop();
    await sending;
    await publisher.publish({ FL_READY: 'NO' });
    expect(clock.waiting).toBe(0);
  });

  it('does without OneGate', async () => {
    const clock = new FakeClock();
    const publisher = createPublisher(undefined, clock, keptLog(clock).log);
    await expect(publisher.publish({ FL_READY: 'YES' })).resolves.toBe(false);
  });
});

describe('attributes', () => {
  it('carry a failure as code and as text that OneGate cannot mangle', () => {
    const attributes = notReady('supernode', failure('port_taken', 'Port 9092, [::1] is "taken".'));
    expect(attributes).toMatchObject({ FL_READY: 'NO', FL_NODE_READY: 'NO', READY: 'NO', FL_ERROR: 'port_taken' });
    expect(attributes.FL_ERROR_TEXT).toMatch(/^[A-Za-z0-9+/=]+$/);
    expect(Buffer.from(attributes.FL_ERROR_TEXT ?? '', 'base64').toString()).toContain('Choose another port');
  });

  it('tell OneFlow only where REPORT_READY asks for it', () => {
    expect(ready(true)).toHaveProperty('READY', 'YES');
    expect(ready(false)).not.toHaveProperty('READY');
  });
});
