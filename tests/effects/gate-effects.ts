import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { listen } from '../support/network.ts';
import { ask, presentedCertificate } from '../support/wire.ts';
import { commandLine, type Effects, ownCa } from './effect.ts';
import type { Scene } from './scene.ts';
import { changedNode, changedSuperLink, joinToken, operatorToken } from './values.ts';

const fleetCall = '/v1/fleet/activate-node';
const operatorCall = '/v1/operator/status';
/** Flower itself answers so to GET on a call of its Fleet API. */
const passed = 405;

/** Variables that decide where a SuperLink listens, what it shows there, and whom it lets in. */
export const gateEffects = {
  async FL_FLEET_API_ADDRESS(scene) {
    const [{ superLink: plain }, { superLink: changed }] = await bothSites(scene);
    const caPem = await ownCa(plain);
    expect((await ask(`https://${plain.address}:9092${fleetCall}`, { caPem })).status).toBe(passed);
    await expect(ask(`https://${plain.address}:19092${fleetCall}`, { caPem })).rejects.toThrow('ECONNREFUSED');
    const given = { caPem: scene.trio.ca };
    expect((await ask(`https://${changed.address}:19092${fleetCall}`, given)).status).toBe(passed);
    await expect(ask(`https://${changed.address}:9092${fleetCall}`, given)).rejects.toThrow('ECONNREFUSED');
    expect(scene.oneGate.attributes(changed.vmId).FL_ENDPOINT).toBe(`${changed.address}:19092`);
  },

  async FL_CONTROL_API_ADDRESS(scene) {
    const [{ superLink: plain }, { superLink: changed }] = await bothSites(scene);
    const caPem = await ownCa(plain);
    expect((await ask(`https://${plain.address}:9093${operatorCall}`, { caPem })).status).toBeGreaterThan(400);
    const given = { caPem: scene.trio.ca, token: operatorToken };
    expect((await ask(`https://${changed.address}:19093${operatorCall}`, given)).status).toBe(200);
    await expect(ask(`https://${changed.address}:9093${operatorCall}`, given)).rejects.toThrow('ECONNREFUSED');
    expect(scene.oneGate.attributes(changed.vmId).FL_CONTROL_ENDPOINT).toBe(`${changed.address}:19093`);
  },

  async FL_TLS_ENABLED(scene) {
    const [plain, open] = await Promise.all([scene.plain(), scene.openSite()]);
    const answer = await ask(`http://${open.superLink.address}:9092${fleetCall}`);
    expect(answer.status).toBe(passed);
    await expect(ask(`http://${plain.superLink.address}:9092${fleetCall}`)).rejects.toThrow();
    for (const [site, insecure] of [
      [plain, false],
      [open, true],
    ] as const) {
      const commands = [
        await commandLine(site.superLink, 'flower-superlink'),
        await commandLine(site.node, 'flower-supernode'),
      ];
      expect(commands.map(command => command.includes('--insecure'))).toEqual([insecure, insecure]);
      expect(commands[0]?.includes('--enable-supernode-auth')).toBe(!insecure);
      expect(commands[1]?.includes('--auth-supernode-private-key')).toBe(!insecure);
    }
  },

  async FL_SSL_CA_CERTFILE(scene) {
    const { superLink, node } = await scene.changed();
    const published = Buffer.from(scene.oneGate.attributes(superLink.vmId).FL_CA_CERT ?? '', 'base64').toString();
    expect(new X509Certificate(published).fingerprint256).toBe(new X509Certificate(scene.trio.ca).fingerprint256);
    const trusted = await readFile(node.guest.path('opt/flower/certs/ca.crt'), 'utf8');
    expect(new X509Certificate(trusted).subject).toBe('CN=Operator CA');
    const without = { ...changedNode(superLink.address, scene.trio), FL_SSL_CA_CERTFILE: '' };
    expect((await scene.refused('supernode', without)).code).toBe('trust_missing');
  },

  async FL_SSL_CERTFILE(scene) {
    const [{ superLink: plain }, { superLink: changed }] = await bothSites(scene);
    const given = new X509Certificate(scene.trio.certificate);
    expect((await presentedCertificate(changed.address, 19092)).fingerprint256).toBe(given.fingerprint256);
    expect((await presentedCertificate(plain.address, 9092)).issuer).toContain('OneFlower CA');
  },

  async FL_SSL_KEYFILE(scene) {
    const { superLink } = await scene.changed();
    const presented = await presentedCertificate(superLink.address, 19092);
    expect(presented.checkPrivateKey(createPrivateKey(scene.trio.key))).toBe(true);
    const { code, guest } = await scene.refused('superlink', { ...changedSuperLink(scene.trio), FL_SSL_KEYFILE: '' });
    expect(code).toBe('config_validation_failed');
    expect(await guest.log()).toContain('FL_SSL_KEYFILE');
  },

  async FL_CERT_EXTRA_SAN(scene) {
    const [{ superLink: plain }, changed] = [await scene.plain(), await scene.otherRelease()];
    const names = async (address: string) => (await presentedCertificate(address, 9092)).subjectAltName;
    for (const name of ['IP Address:10.99.0.9', 'DNS:flower.example']) {
      expect(await names(plain.address)).not.toContain(name);
      expect(await names(changed.address)).toContain(name);
    }
  },

  async FL_JOIN_TOKEN(scene) {
    const [plain, changed] = await bothSites(scene);
    const enrol = async (url: string, caPem: string, token: string) =>
      JSON.parse((await ask(`${url}/v1/site/enrol`, { method: 'POST', caPem, token, body: '{}' })).text).error.code;
    const gate = `https://${changed.superLink.address}:19092`;
    expect(await enrol(gate, scene.trio.ca, 'another-token-than-this-one')).toBe('join-token-refused');
    expect(await enrol(gate, scene.trio.ca, joinToken)).toBe('bad-request');
    expect(await changed.superLink.guest.events('node_enrolled')).toMatchObject([{ partition_id: 5 }]);
    const made = `https://${plain.superLink.address}:9092`;
    expect(await enrol(made, await ownCa(plain.superLink), joinToken)).toBe('join-token-refused');
  },

  async FL_OPERATOR_TOKEN_HASH(scene) {
    const [{ superLink: plain }, { superLink: changed }] = await bothSites(scene);
    const call = `https://${changed.address}:19093${operatorCall}`;
    expect((await ask(call, { caPem: scene.trio.ca, token: operatorToken })).status).toBe(200);
    expect((await ask(call, { caPem: scene.trio.ca, token: `${operatorToken}x` })).status).toBe(401);
    const closed = { caPem: await ownCa(plain), token: operatorToken };
    expect((await ask(`https://${plain.address}:9093${operatorCall}`, closed)).status).toBe(403);
  },

  async NETWORK(scene) {
    // A guest that has the machine's own addresses. Flower's port is held, so that it is not started; the names in
    // the certificate, which is made before, tell the address that is to be published.
    const held = await listen('127.0.0.1', 8000);
    try {
      const nic = { ETH0_IP: '10.99.0.7' };
      const withIt = await scene.refusedWithoutAddress({ ...nic, NETWORK: 'YES' });
      const without = await scene.refusedWithoutAddress(nic);
      expect([withIt.code, without.code]).toEqual(['port_taken', 'port_taken']);
      const names = async ({ guest }: typeof withIt) =>
        new X509Certificate(await readFile(guest.path('opt/flower/certs/server.pem'))).subjectAltName;
      expect(await names(withIt)).toContain('IP Address:10.99.0.7');
      expect(await names(without)).not.toContain('10.99.0.7');
    } finally {
      held?.close();
    }
  },
} satisfies Effects;

function bothSites(scene: Scene) {
  return Promise.all([scene.plain(), scene.changed()]);
}
