import { isOneFlowerError, messageOf, roleNames } from '@oneflower/contract';
import { attributeText, type GateVm, type OnegateClient } from '@oneflower/opennebula/onegate';
import { failure } from '../failure.ts';
import { type Advertised, chooseNode, chooseSource, type DiscoveryInput } from './decide.ts';

/** A SuperLink that was found, and whether the same question may have another answer later. */
export interface Found {
  advertised: Advertised;
  from: 'address' | 'references' | 'onegate';
}

const published = ['FL_READY', 'FL_ENDPOINT', 'FL_TLS', 'FL_CA_CERT', 'FL_JOIN_TOKEN'] as const;

/**
 * Looks for the SuperLink once. The caller asks again until it is there.
 *
 * @throws OneFlowerError `discovery_failed`
 */
export async function discover(
  input: Omit<DiscoveryInput, 'oneGate'>,
  oneGate: Pick<OnegateClient, 'service'> | undefined,
): Promise<Found> {
  const source = chooseSource({ ...input, oneGate: oneGate !== undefined });
  if (source.from !== 'onegate') return source;
  if (!oneGate) throw failure('discovery_failed', 'OneGate is not available.', { fault: 'bug' });
  try {
    return { from: 'onegate', advertised: await askOneGate(oneGate, input.lost) };
  } catch (error) {
    if (source.otherwise) return { from: 'references', advertised: source.otherwise };
    throw error;
  }
}

/**
 * Only the extended service shows what its VMs have published. One that is dead may still say that it is ready: after a
 * loss the newest VM comes first.
 */
async function askOneGate(oneGate: Pick<OnegateClient, 'service'>, lost: boolean): Promise<Advertised> {
  const superLinks = await superLinkVms(oneGate);
  const vms = lost ? [...superLinks].sort((a, b) => b.id - a.id) : superLinks;
  const nodes = vms.map(node => ({
    vmId: node.id,
    attributes: Object.fromEntries(published.map(name => [name, attributeText(node.userTemplate, name)])),
  }));
  const chosen = chooseNode(nodes);
  if (chosen) return chosen;
  throw failure('discovery_failed', 'No VM of the superlink role says yet that it is ready.', {
    reason: 'The SuperLink is still booting, or it has failed: its FL_ERROR says why.',
    remedy: 'Wait, or look at the SuperLink.',
  });
}

/**
 * The VM of the SuperLink at an address that OneGate was not asked for. What VMs publish counts only among several of
 * the role, because any of the service can change it. Undefined where that cannot be known.
 */
export async function findSuperLinkVm(
  oneGate: Pick<OnegateClient, 'service'>,
  endpoint: string,
): Promise<number | undefined> {
  const vms = await superLinkVms(oneGate).catch(() => []);
  const [first, ...others] = vms;
  if (others.length === 0) return first?.id;
  return vms.find(({ userTemplate }) => attributeText(userTemplate, 'FL_ENDPOINT') === endpoint)?.id;
}

async function superLinkVms(oneGate: Pick<OnegateClient, 'service'>): Promise<GateVm[]> {
  const service = await oneGate.service({ extended: true }).catch((error: unknown) => {
    const said = isOneFlowerError(error) ? error.explain() : `${messageOf(error)}.`;
    throw failure('discovery_failed', `OneGate cannot be asked for the SuperLink: ${said}`, {
      reason: 'OneGate, or OneFlow or oned behind it, is not there, or the token of this VM is refused.',
      remedy: 'Check ONEGATE_ENDPOINT and the cloud; or set FL_SUPERLINK_ADDRESS.',
      fault: 'environment',
      cause: error,
    });
  });
  const role = service.roles.find(({ name }) => name === roleNames.superlink);
  if (!role) throw failure('discovery_failed', `The service ${service.name} has no role ${roleNames.superlink}.`);
  return role.nodes;
}
