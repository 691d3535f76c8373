import { messageOf, type SuperLinkStatus } from '@oneflower/contract';
import type { Service } from '@oneflower/opennebula';
import { connectOperatorOf, type OperatorPlace } from '../operator/connect.ts';
import { findService, listFlowerServices } from './find.ts';
import { describeVm, readVms, type ServiceVm } from './vms.ts';

/** A service as an operator sees it: OneFlow's view, the VMs', and, where it can be asked, the SuperLink's. */
export interface ServiceStatus {
  id: number;
  name: string;
  /** OneFlow's name of the state. */
  state: string;
  /** ISO 8601. */
  startedAt: string | null;
  roles: { name: string; state: string; cardinality: number; min: number | null; max: number | null }[];
  vms: ServiceVm[];
  /** Null when the SuperLink could not be asked; `flowerUnknown` says why. */
  flower: SuperLinkStatus | null;
  flowerUnknown: string | null;
  /** What OneFlow noted last. */
  lastLog: string | null;
}

export interface StatusContext extends OperatorPlace {
  signal?: AbortSignal | undefined;
}

/** The state of one service, or of all Flower services of the cloud when none is named. */
export async function readStatus(context: StatusContext, nameOrId?: string): Promise<ServiceStatus[]> {
  const services =
    nameOrId === undefined ? await listFlowerServices(context.cloud) : [await findService(context.cloud, nameOrId)];
  const statuses: ServiceStatus[] = [];
  for (const service of services) statuses.push(await describeService(context, service));
  return statuses;
}

async function describeService(context: StatusContext, service: Service): Promise<ServiceStatus> {
  const vms = await readVms(context.cloud, service);
  const flower = await askSuperLink(context, service);
  return {
    id: service.id,
    name: service.name,
    state: service.state,
    startedAt: service.startTime === undefined ? null : new Date(service.startTime * 1000).toISOString(),
    roles: service.roles.map(role => ({
      name: role.name,
      state: role.state,
      cardinality: role.cardinality,
      min: role.minVms ?? null,
      max: role.maxVms ?? null,
    })),
    vms: vms.map(describeVm),
    ...flower,
    lastLog: service.log.at(-1)?.message ?? null,
  };
}

/** The service's state is worth showing when its SuperLink is silent, so no failure here ends the command. */
async function askSuperLink(
  context: StatusContext,
  service: Service,
): Promise<Pick<ServiceStatus, 'flower' | 'flowerUnknown'>> {
  try {
    const operator = await connectOperatorOf(context, service);
    try {
      return { flower: await operator.status(context.signal), flowerUnknown: null };
    } finally {
      await operator.close();
    }
  } catch (error) {
    context.signal?.throwIfAborted();
    return { flower: null, flowerUnknown: messageOf(error) };
  }
}
