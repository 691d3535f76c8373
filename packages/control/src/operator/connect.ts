import { OneFlowerError, roleNames } from '@oneflower/contract';
import type { Service } from '@oneflower/opennebula';
import type { Cloud } from '../cloud.ts';
import type { Notify } from '../notify.ts';
import { findService } from '../service/find.ts';
import { type RecordPlace, readRecord, recordFile } from '../service/records.ts';
import { type OperatorEndpoint, operatorEndpointOf, readVm } from '../service/vms.ts';
import { createOperatorClient, type OperatorClient } from './client.ts';
import { checkAuthority } from './known.ts';

/** What is needed to find the operator API of a service. */
export interface OperatorPlace {
  cloud: Cloud;
  home: string;
  notify: Notify;
}

/**
 * A client of the operator API of a service: endpoint and CA from what its SuperLink has published, token from the
 * record of the deployment on this machine. A CA other than the one that was seen first is refused before anything is
 * sent. Close the client after use.
 * @throws OneFlowerError `service-not-found`, `operator-token-missing`, `superlink-not-ready`, `operator-untrusted`.
 */
export async function connectOperator(place: OperatorPlace, nameOrId: string): Promise<OperatorClient> {
  const service = await findService(place.cloud, nameOrId);
  return connectOperatorOf(place, service);
}

/** As {@link connectOperator}, for a service that is already known. */
export async function connectOperatorOf(place: OperatorPlace, service: Service): Promise<OperatorClient> {
  const records: RecordPlace = { home: place.home, cloudKey: place.cloud.access.key };
  const record = await readRecord(records, service.name);
  if (!record || (record.serviceId !== null && record.serviceId !== service.id)) {
    throw tokenMissing(service, recordFile(records, service.name));
  }
  const endpoint = await findEndpoint(place.cloud, service);
  const secure = endpoint.tls || record.tls;
  await checkAuthority(records, service.name, { ...endpoint, ca: secure ? endpoint.ca : null }, place.notify);
  const access = { service: service.name, endpoint, token: record.operatorToken, requireTls: record.tls };
  return createOperatorClient(access);
}

async function findEndpoint(cloud: Cloud, service: Service): Promise<OperatorEndpoint> {
  const nodes = service.roles.find(role => role.name === roleNames.superlink)?.nodes ?? [];
  for (const { vmId } of nodes) {
    const vm = await readVm(cloud, vmId);
    const endpoint = vm && operatorEndpointOf(vm);
    if (endpoint) return endpoint;
  }
  throw new OneFlowerError({
    code: 'superlink-not-ready',
    message: `The SuperLink of ${service.name} has not published its operator API.`,
    reason: 'It is still booting, or it has failed.',
    remedy: `See oneflower status ${service.name}.`,
  });
}

function tokenMissing(service: Service, file: string): OneFlowerError {
  return new OneFlowerError({
    code: 'operator-token-missing',
    message: `The operator token of ${service.name} is not on this machine.`,
    reason: 'The service was deployed by another user or from another machine.',
    remedy: `Work from where it was deployed, or copy its record to ${file}.`,
    fault: 'user',
  });
}
