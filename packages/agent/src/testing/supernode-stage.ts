import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { Agent } from '../agent.ts';
import { SuperNode } from '../supernode.ts';
import { loopbackNetwork } from './agents.ts';
import { type FakeOneGate, fakeOneGate } from './onegate.ts';
import { quietGuest } from './quiet-guest.ts';
import { softwareWithFlower } from './software.ts';
import { joinToken, type SuperLinkOptions, startSuperLink, type TestSuperLink } from './superlinks.ts';

/** The CONTEXT of a SuperNode as OneFlow fills it in from what a SuperLink has published. */
export function referencesTo({ endpoint, authority }: TestSuperLink): Record<string, string> {
  return {
    SUPERLINK_ENDPOINT: endpoint,
    SUPERLINK_TLS: 'YES',
    SUPERLINK_CA_CERT: Buffer.from(authority.certificatePem).toString('base64'),
    SUPERLINK_JOIN_TOKEN: joinToken,
  };
}

/** What a SuperLink that is ready publishes. */
export function publishedBy({ endpoint, authority }: TestSuperLink): Record<string, string> {
  return {
    FL_READY: 'YES',
    FL_ENDPOINT: endpoint,
    FL_TLS: 'YES',
    FL_CA_CERT: Buffer.from(authority.certificatePem).toString('base64'),
    FL_JOIN_TOKEN: joinToken,
  };
}

/** A SuperNode's agent in a VM of its own, with a OneGate and with SuperLinks that come and go. */
export async function superNodeStage() {
  const { clock, lines, guest } = await quietGuest();
  const { root } = guest.layout;
  const gate: FakeOneGate = await fakeOneGate();
  const at = loopbackNetwork();
  const context = join(root, 'context');
  await mkdir(context);
  await writeFile(join(context, 'token.txt'), 'abc\n');
  const software = await softwareWithFlower(root, "process.on('SIGTERM', () => process.exit(0))");
  Object.assign(guest.options, { context, address: at(2) });
  Object.assign(guest.layout.software, {
    versions: join(software, 'versions'),
    python: join(software, 'python'),
  });
  const lives: (() => Promise<void>)[] = [];

  /** Time passes, and answers over the network arrive, until a condition holds; how many seconds it took. */
  async function until(condition: () => boolean, seconds = 600): Promise<number> {
    for (let second = 0; second < seconds; second++) {
      if (condition()) return second;
      await clock.advance(1000);
      await new Promise(resolve => setTimeout(resolve, 5));
    }
    throw new Error(`Not after ${seconds} s:\n${lines.join('\n')}`);
  }

  const stage = {
    ...{ clock, lines, guest, gate, until },
    async writeContext(values: Record<string, string>, oneGate = true): Promise<void> {
      const token = oneGate ? { TOKEN: 'YES', ONEGATE_ENDPOINT: gate.endpoint } : {};
      const all = { FL_ROLE: 'supernode', VMID: '8', ...token, ...values };
      const text = Object.entries(all).map(([name, value]) => `${name}='${value}'\n`);
      await writeFile(join(context, 'context.sh'), text.join(''));
    },
    /** What OneGate shows of the role superlink: VMs by their ids. */
    showSuperLinks(vms: Record<number, Record<string, string>>): void {
      const nodes = Object.entries(vms).map(([id, userTemplate]) => ({
        deploy_id: Number(id),
        vm_info: { VM: { ID: id, NAME: `superlink_${id}`, USER_TEMPLATE: userTemplate } },
      }));
      const roles = [{ name: 'superlink', cardinality: nodes.length, state: 2, nodes }];
      gate.service = { SERVICE: { name: 'flower', id: '5', state: 2, roles } };
    },
    async superLink(options: Partial<SuperLinkOptions> = {}): Promise<TestSuperLink> {
      const superLink = await startSuperLink({ folder: root, address: at(1), clock, ...options });
      onTestFinished(() => superLink.close());
      return superLink;
    },
    /** The address of host `n` in this test's network. */
    at,
    /** A life of the agent, which begins with what earlier ones left on the disk; its end. */
    start(): () => Promise<void> {
      const stop = new AbortController();
      const agent = new Agent({ guest, machineOf: made => new SuperNode(made) });
      const never = new Promise<void>(() => undefined);
      let ended = false;
      const life = agent.run({ stop: stop.signal, contextChanged: () => never }, false).finally(() => {
        ended = true;
      });
      const end = async () => {
        stop.abort(new Error('enough'));
        await until(() => ended);
        await life;
      };
      lives.push(end);
      return end;
    },
    /** Whether the node is enrolled there and online, as Flower would list it. */
    isOnline({ book }: TestSuperLink): boolean {
      book.setOnline(book.nodes.map(({ nodeId }) => nodeId));
      return book.nodes.length > 0 && gate.attributes.FL_READY === 'YES';
    },
  };
  onTestFinished(async () => {
    for (const end of lives) await end();
  });
  return stage;
}
