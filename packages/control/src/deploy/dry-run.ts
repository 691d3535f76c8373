import { isOneFlowerError, messageOf, type Role } from '@oneflower/contract';
import { renderTemplate } from '@oneflower/opennebula';
import type { Cloud } from '../cloud.ts';
import { maskSecrets } from '../plan/mask.ts';
import type { ServicePlan } from '../plan/plan.ts';
import type { ObjectId } from '../plan/vm-template.ts';
import { findServiceTemplate } from './register.ts';
import { defaultImage, defaultNetwork, findResources, type ResourceRequest } from './resources.ts';

/** A request that a deployment would send. Secrets in it are masked. */
export interface PlannedRequest {
  server: 'oned' | 'oneflow';
  /** XML-RPC method, or HTTP method and path. */
  call: string;
  body: unknown;
  /** The number of the object when it is there already, so that the request would be left out. */
  already: number | null;
}

export interface DryRun {
  requests: PlannedRequest[];
  warnings: string[];
}

/** What cannot be known before it is made stands in angle brackets. */
type Known = { image: ObjectId; network: ObjectId; vmTemplates: Map<string, number> };

/**
 * Every request that a deployment would send. The cloud is only read, and may be absent: then its numbers are
 * placeholders and a warning says so.
 */
export async function dryRun(
  plan: ServicePlan,
  request: ResourceRequest & { cloud: Cloud | undefined },
): Promise<DryRun> {
  const warnings = [...plan.warnings];
  const known = await look(request, warnings);
  const requests: PlannedRequest[] = [];
  const ids: Record<Role, ObjectId> = { superlink: '', supernode: '' };
  for (const { role, name, template } of plan.vmTemplates(known.image)) {
    const already = known.vmTemplates.get(name) ?? null;
    ids[role] = already ?? `<number of ${name}>`;
    requests.push({ server: 'oned', call: 'one.template.allocate', body: renderTemplate(template), already });
  }
  const template = plan.serviceTemplate({ vmTemplates: ids, networkId: known.network });
  const found = plan.secret || !request.cloud ? undefined : await tryFind(request.cloud, template);
  const already = found ?? null;
  requests.push({ server: 'oneflow', call: 'POST /service_template', body: maskSecrets(template), already });
  requests.push({
    server: 'oneflow',
    call: `POST /service_template/${already ?? `<number of ${template.name}>`}/action`,
    body: {
      action: {
        perform: 'instantiate',
        params: { merge_template: maskSecrets(plan.instantiation(known.network)) },
      },
    },
    already: null,
  });
  return { requests, warnings };
}

async function look(request: ResourceRequest & { cloud: Cloud | undefined }, warnings: string[]): Promise<Known> {
  const unknown: Known = {
    image: `<number of image ${request.image ?? defaultImage}>`,
    network: `<number of network ${request.network ?? defaultNetwork}>`,
    vmTemplates: new Map(),
  };
  if (!request.cloud) return unknown;
  try {
    const { image, network } = await findResources(request.cloud, request);
    const templates = await request.cloud.oned.templates.list('mine');
    return { image: image.id, network: network.id, vmTemplates: new Map(templates.map(one => [one.name, one.id])) };
  } catch (error) {
    if (!isOneFlowerError(error)) throw error;
    warnings.push(`Numbers in angle brackets are not known: ${messageOf(error)}`);
    return unknown;
  }
}

async function tryFind(cloud: Cloud, template: Parameters<typeof findServiceTemplate>[1]): Promise<number | undefined> {
  try {
    return await findServiceTemplate(cloud, template);
  } catch (error) {
    if (!isOneFlowerError(error)) throw error;
    return undefined;
  }
}
