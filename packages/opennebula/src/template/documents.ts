import * as z from 'zod';
import { attributeText, attributeVectors } from './attributes.ts';
import { attributes, idsOf, integer, integerOr, optionalText, text } from './fields.ts';
import { HOST_STATES, IMAGE_STATES, LCM_STATES, NETWORK_STATES, stateName, VM_STATES } from './states.ts';

const owned = { ID: integer, NAME: text, UID: integer, GID: integer, UNAME: text, GNAME: text };

function ownership(raw: { ID: number; NAME: string; UID: number; GID: number; UNAME: string; GNAME: string }) {
  return { id: raw.ID, name: raw.NAME, uid: raw.UID, gid: raw.GID, uname: raw.UNAME, gname: raw.GNAME };
}

/**
 * A virtual machine. From a pool it is cut down: hardly any of `template`, and `userTemplate` only in the extended form.
 * Times are seconds since the epoch, 0 for none.
 */
export const vmDocument = z
  .object({
    ...owned,
    STATE: integer,
    LCM_STATE: integer,
    STIME: integerOr(0),
    ETIME: integerOr(0),
    DEPLOY_ID: optionalText,
    TEMPLATE: attributes,
    USER_TEMPLATE: attributes,
    MONITORING: attributes,
  })
  .transform(raw => ({
    ...ownership(raw),
    state: stateName(VM_STATES, raw.STATE),
    stateNumber: raw.STATE,
    lcmState: stateName(LCM_STATES, raw.LCM_STATE),
    lcmStateNumber: raw.LCM_STATE,
    startTime: raw.STIME,
    endTime: raw.ETIME,
    deployId: raw.DEPLOY_ID,
    nics: attributeVectors(raw.TEMPLATE, 'NIC').map(nic => ({
      ip: attributeText(nic, 'IP'),
      mac: attributeText(nic, 'MAC'),
      network: attributeText(nic, 'NETWORK'),
      networkId: numberOf(attributeText(nic, 'NETWORK_ID')),
    })),
    template: raw.TEMPLATE,
    userTemplate: raw.USER_TEMPLATE,
    monitoring: raw.MONITORING,
    /** OneFlow's mark: USER_TEMPLATE/SERVICE_ID. */
    serviceId: numberOf(attributeText(raw.USER_TEMPLATE, 'SERVICE_ID')),
    roleName: attributeText(raw.USER_TEMPLATE, 'ROLE_NAME'),
    /** Why it still waits, with a date in front. */
    schedulerMessage: attributeText(raw.USER_TEMPLATE, 'SCHED_MESSAGE'),
  }));
export type Vm = z.infer<typeof vmDocument>;

/** A template of virtual machines. */
export const vmTemplateDocument = z
  .object({ ...owned, REGTIME: integerOr(0), TEMPLATE: attributes })
  .transform(raw => ({ ...ownership(raw), registeredAt: raw.REGTIME, template: raw.TEMPLATE }));
export type VmTemplate = z.infer<typeof vmTemplateDocument>;

/** A disk image; `sizeMb` in MB. */
export const imageDocument = z
  .object({
    ...owned,
    STATE: integer,
    SIZE: integerOr(0),
    TYPE: integerOr(0),
    PERSISTENT: integerOr(0),
    DATASTORE_ID: integerOr(-1),
    DATASTORE: optionalText,
    FORMAT: optionalText,
    RUNNING_VMS: integerOr(0),
    TEMPLATE: attributes,
  })
  .transform(raw => ({
    ...ownership(raw),
    state: stateName(IMAGE_STATES, raw.STATE),
    stateNumber: raw.STATE,
    sizeMb: raw.SIZE,
    type: raw.TYPE,
    persistent: raw.PERSISTENT === 1,
    datastoreId: raw.DATASTORE_ID,
    datastore: raw.DATASTORE,
    format: raw.FORMAT,
    runningVms: raw.RUNNING_VMS,
    template: raw.TEMPLATE,
  }));
export type Image = z.infer<typeof imageDocument>;

/** A virtual network. */
export const networkDocument = z
  .object({
    ...owned,
    STATE: integer,
    BRIDGE: optionalText,
    VN_MAD: optionalText,
    USED_LEASES: integerOr(0),
    CLUSTERS: idsOf('ID'),
    TEMPLATE: attributes,
  })
  .transform(raw => ({
    ...ownership(raw),
    state: stateName(NETWORK_STATES, raw.STATE),
    stateNumber: raw.STATE,
    bridge: raw.BRIDGE,
    driver: raw.VN_MAD,
    usedLeases: raw.USED_LEASES,
    clusterIds: raw.CLUSTERS,
    template: raw.TEMPLATE,
  }));
export type Network = z.infer<typeof networkDocument>;

/** A user. PASSWORD (a hash) and login tokens are not read. */
export const userDocument = z
  .object({
    ID: integer,
    NAME: text,
    GID: integer,
    GNAME: text,
    GROUPS: idsOf('ID'),
    ENABLED: integerOr(1),
    TEMPLATE: attributes,
  })
  .transform(raw => ({
    id: raw.ID,
    name: raw.NAME,
    gid: raw.GID,
    gname: raw.GNAME,
    groupIds: raw.GROUPS,
    enabled: raw.ENABLED === 1,
    template: raw.TEMPLATE,
  }));
export type User = z.infer<typeof userDocument>;

/** A host, with the number of machines on it. */
export const hostDocument = z
  .object({
    ID: integer,
    NAME: text,
    STATE: integer,
    CLUSTER_ID: integerOr(-1),
    VMS: idsOf('ID'),
    TEMPLATE: attributes,
  })
  .transform(raw => ({
    id: raw.ID,
    name: raw.NAME,
    state: stateName(HOST_STATES, raw.STATE),
    stateNumber: raw.STATE,
    clusterId: raw.CLUSTER_ID,
    vmIds: raw.VMS,
    template: raw.TEMPLATE,
  }));
export type Host = z.infer<typeof hostDocument>;

/** A zone and the XML-RPC endpoint of its oned. */
export const zoneDocument = z
  .object({ ID: integer, NAME: text, TEMPLATE: attributes })
  .transform(raw => ({ id: raw.ID, name: raw.NAME, endpoint: attributeText(raw.TEMPLATE, 'ENDPOINT') ?? '' }));
export type Zone = z.infer<typeof zoneDocument>;

function numberOf(value: string | undefined): number | undefined {
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined;
}

/** The server's configuration, as attributes. */
export const systemConfigDocument = z.unknown().transform(raw => attributes.parse([raw]));
