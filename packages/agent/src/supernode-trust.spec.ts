import { readFile, rm } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { publishedBy, referencesTo, superNodeStage } from './testing/supernode-stage.ts';

/** A node that was enrolled at VM 7, which is gone, and another SuperLink whose CA it does not know. */
async function world() {
  const stage = await superNodeStage();
  const known = await stage.superLink();
  const stranger = await stage.superLink({ address: stage.at(3) });
  stage.showSuperLinks({ 7: publishedBy(known) });
  await stage.writeContext(referencesTo(known));
  const end = stage.start();
  await stage.until(() => stage.isOnline(known));
  const refused = () => stage.gate.attributes.FL_ERROR === 'trust_changed';
  const pin = async () => JSON.parse(await readFile(stage.guest.layout.caPin, 'utf8'));
  return { ...stage, known, stranger, end, refused, pin };
}

describe('a SuperNode that has trusted a SuperLink', () => {
  it('goes to no other whose CA a VM of the service has published in its name, and back when it is there', async () => {
    const node = await world();
    expect(await node.pin()).toMatchObject({ superLinkVm: 7 });
    node.known.isUp = false;
    node.showSuperLinks({ 7: publishedBy(node.stranger) });
    await node.until(node.refused);
    node.known.isUp = true;
    node.known.book.setOnline([]);
    await node.until(() => node.isOnline(node.known));
    expect(node.stranger.book.nodes).toEqual([]);
  });

  it('trusts what a person states, keeps it, and goes on with it', async () => {
    const node = await world();
    await node.end();
    await node.writeContext({ FL_SSL_CA_CERTFILE: node.stranger.authority.certificatePem });
    node.showSuperLinks({ 7: publishedBy(node.stranger) });
    const end = node.start();
    await node.until(() => node.isOnline(node.stranger));
    await end();
    await node.writeContext({});
    node.start();
    await node.until(() => node.isOnline(node.stranger));
  });

  it('trusts what is published when the file is removed that it names', async () => {
    const node = await world();
    await node.end();
    await node.writeContext({});
    node.showSuperLinks({ 7: publishedBy(node.stranger) });
    node.start();
    await node.until(node.refused);
    expect(node.lines.join('\n')).toContain(`remove ${node.guest.layout.caPin}`);
    await rm(node.guest.layout.caPin);
    await node.until(() => node.isOnline(node.stranger));
  });

  it('trusts the one of another VM anew, says so, and goes there at once when it boots again', async () => {
    const node = await world();
    node.known.close();
    node.showSuperLinks({ 9: publishedBy(node.stranger) });
    await node.until(() => node.isOnline(node.stranger));
    expect(node.lines.filter(line => line.includes('is VM 9 and was VM 7'))).toHaveLength(1);
    expect(await node.pin()).toMatchObject({ superLinkVm: 9 });
    await node.end();
    node.lines.length = 0;
    node.start();
    await node.until(() => node.isOnline(node.stranger));
    expect(node.lines.filter(line => line.includes('The SuperLink is at'))).toEqual([
      expect.stringContaining(node.stranger.endpoint),
    ]);
  });

  it('refuses another CA for a static address too, and asks nothing of OneGate', async () => {
    const node = await world();
    await node.end();
    await node.writeContext({ ...referencesTo(node.stranger), FL_SUPERLINK_ADDRESS: node.stranger.endpoint });
    node.gate.requests.length = 0;
    node.start();
    await node.until(node.refused);
    expect(node.gate.requests.filter(request => request.includes('/service'))).toEqual([]);
  });
});
