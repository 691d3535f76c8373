import * as z from 'zod';
import { roleStateName, serviceStateName } from '../oneflow/states.ts';
import { type Attributes, type AttributeValue, attributeText, attributeVectors } from '../template/attributes.ts';
import { LCM_STATES, stateName, VM_STATES } from '../template/states.ts';

const attribute: z.ZodType<AttributeValue> = z.lazy(() =>
  z.union([z.string(), z.null().transform(() => ''), z.array(attribute), z.record(z.string(), attribute)]),
);
const attributes: z.ZodType<Attributes> = z.record(z.string(), attribute);
const id = z.union([z.string().regex(/^\d+$/), z.number().int().min(0)]).transform(Number);
const stateNumber = z.union([z.string().regex(/^\d+$/), z.number().int()]).transform(Number);

/** A machine as OneGate shows it. */
const vm = z
  .object({
    ID: id,
    NAME: z.string(),
    STATE: stateNumber.optional(),
    LCM_STATE: stateNumber.optional(),
    USER_TEMPLATE: attributes.optional(),
    TEMPLATE: attributes.optional(),
  })
  .transform(raw => ({
    id: raw.ID,
    name: raw.NAME,
    state: raw.STATE === undefined ? undefined : stateName(VM_STATES, raw.STATE),
    lcmState: raw.LCM_STATE === undefined ? undefined : stateName(LCM_STATES, raw.LCM_STATE),
    userTemplate: raw.USER_TEMPLATE ?? {},
    nics: attributeVectors(raw.TEMPLATE ?? {}, 'NIC').map(nic => ({
      ip: attributeText(nic, 'IP'),
      mac: attributeText(nic, 'MAC'),
      name: attributeText(nic, 'NAME'),
      network: attributeText(nic, 'NETWORK'),
    })),
  }));

export const vmAnswer = z.object({ VM: vm }).transform(raw => raw.VM);
/** States and attributes are there only of one's own VM, of `/vms/N`, and of the extended service. */
export type GateVm = z.infer<typeof vmAnswer>;

const role = z
  .object({
    name: z.string(),
    cardinality: stateNumber,
    state: stateNumber,
    nodes: z.array(z.object({ deploy_id: z.number().int(), vm_info: z.object({ VM: vm }).nullish() })).nullish(),
  })
  .transform(raw => ({
    name: raw.name,
    cardinality: raw.cardinality,
    state: roleStateName(raw.state),
    nodes: (raw.nodes ?? []).map(node => node.vm_info?.VM ?? bareVm(node.deploy_id)),
  }));

/** A node that OneFlow has just made and knows no more of than its id. */
function bareVm(deployId: number): z.infer<typeof vm> {
  return { id: deployId, name: '', state: undefined, lcmState: undefined, userTemplate: {}, nics: [] };
}

export const serviceAnswer = z
  .object({ SERVICE: z.object({ name: z.string(), id, state: stateNumber, roles: z.array(role) }) })
  .transform(({ SERVICE: raw }) => ({
    id: raw.id,
    name: raw.name,
    state: serviceStateName(raw.state),
    roles: raw.roles,
  }));
export type GateService = z.infer<typeof serviceAnswer>;
