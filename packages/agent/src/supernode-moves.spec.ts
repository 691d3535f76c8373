import { describe, expect, it } from 'vitest';
import { publishedBy, referencesTo, superNodeStage } from './testing/supernode-stage.ts';

describe('a SuperNode whose SuperLink is replaced at another address', () => {
  it('enrols there when it loses the old one while it watches, however late the new one is ready', async () => {
    const stage = await superNodeStage();
    const old = await stage.superLink();
    stage.showSuperLinks({ 7: publishedBy(old) });
    await stage.writeContext(referencesTo(old));
    stage.start();
    await stage.until(() => stage.isOnline(old));
    old.close();
    stage.showSuperLinks({ 9: { FL_READY: 'NO' } });
    const next = await stage.superLink({ address: stage.at(3) });
    await stage.until(() => stage.gate.attributes.FL_READY === 'NO');
    await waitSeconds(stage, 400);
    stage.showSuperLinks({ 9: publishedBy(next) });
    expect(await stage.until(() => stage.isOnline(next))).toBeLessThan(240);
  });

  it.each(['is seen by OneGate alone', 'is the one of the CONTEXT'])(
    'enrols there after a restart of its agent, where the old one %s',
    async way => {
      const stage = await superNodeStage();
      const old = await stage.superLink();
      stage.showSuperLinks({ 7: publishedBy(old) });
      await stage.writeContext(way === 'is the one of the CONTEXT' ? referencesTo(old) : {});
      const end = stage.start();
      await stage.until(() => stage.isOnline(old));
      await end();
      old.close();
      const next = await stage.superLink({ address: stage.at(3) });
      stage.showSuperLinks({ 9: publishedBy(next) });
      stage.start();
      await stage.until(() => stage.isOnline(next));
    },
  );

  it('enrols there when the old one dies before it has listed the node online', async () => {
    const stage = await superNodeStage();
    const old = await stage.superLink();
    stage.showSuperLinks({ 7: publishedBy(old) });
    await stage.writeContext(referencesTo(old));
    stage.start();
    await stage.until(() => stage.lines.some(line => line.includes('Flower is up')));
    old.close();
    const next = await stage.superLink({ address: stage.at(3) });
    stage.showSuperLinks({ 9: publishedBy(next) });
    await stage.until(() => stage.isOnline(next));
  });

  it('takes the newest where the dead one still says that it is ready', async () => {
    const stage = await superNodeStage();
    const old = await stage.superLink();
    stage.showSuperLinks({ 7: publishedBy(old) });
    await stage.writeContext(referencesTo(old));
    stage.start();
    await stage.until(() => stage.isOnline(old));
    old.close();
    const next = await stage.superLink({ address: stage.at(3) });
    stage.showSuperLinks({ 7: publishedBy(old), 9: publishedBy(next) });
    await stage.until(() => stage.isOnline(next));
  });

  it('asks for the join token anew that the old one had published', async () => {
    const stage = await superNodeStage();
    const superLink = await stage.superLink();
    stage.showSuperLinks({ 7: publishedBy(superLink) });
    await stage.writeContext({ ...referencesTo(superLink), SUPERLINK_JOIN_TOKEN: 'the-token-of-the-one-before' });
    stage.start();
    await stage.until(() => stage.isOnline(superLink));
  });
});

describe('a SuperNode whose SuperLink is down for a while', () => {
  it.each(['OneGate knows nothing', 'OneGate does not answer', 'there is no OneGate', 'the address is static'])(
    'is back at the same address where %s',
    async surroundings => {
      const stage = await superNodeStage();
      const superLink = await stage.superLink();
      const address = surroundings === 'the address is static' ? { FL_SUPERLINK_ADDRESS: superLink.endpoint } : {};
      await stage.writeContext({ ...referencesTo(superLink), ...address }, surroundings !== 'there is no OneGate');
      if (surroundings === 'OneGate does not answer') stage.gate.mood = 'crashes';
      stage.start();
      const isBack = () => stage.lines.some(line => line.includes('Flower is up'));
      superLink.isUp = false;
      await waitSeconds(stage, 400);
      expect(superLink.book.nodes).toEqual([]);
      superLink.isUp = true;
      await stage.until(isBack);
      expect(superLink.book.nodes).toHaveLength(1);
      const asked = stage.gate.requests.filter(request => request.includes('/service'));
      expect(asked.length > 0).toBe(surroundings.startsWith('OneGate'));
    },
  );
});

async function waitSeconds({ clock, until }: Awaited<ReturnType<typeof superNodeStage>>, seconds: number) {
  const end = clock.now() + seconds * 1000;
  await until(() => clock.now() >= end, seconds + 1);
}
