import * as z from 'zod';
import { roleStateName, serviceStateName } from './states.ts';
import type { JsonObject, JsonValue, Service, ServiceRole, ServiceTemplate } from './types.ts';

const jsonValue: z.ZodType<JsonValue> = z.json();
const jsonObject: z.ZodType<JsonObject> = z.record(z.string(), jsonValue);
/** Ids are texts in documents, numbers inside bodies; a cardinality may be either. */
const whole = z.union([z.string().regex(/^-?\d+$/), z.number().int()]).transform(Number);
const maybeWhole = whole.nullish().transform(value => value ?? undefined);

const document = z.object({
  ID: whole,
  NAME: z.string(),
  UID: whole,
  UNAME: z.string(),
  TEMPLATE: z.object({ BODY: jsonObject }),
});

const node = z
  .object({
    deploy_id: whole,
    vm_info: z.object({ VM: z.object({ NAME: z.string() }) }).nullish(),
  })
  .transform(raw => ({ vmId: raw.deploy_id, name: raw.vm_info?.VM.NAME ?? '' }));

const role: z.ZodType<ServiceRole> = z
  .object({
    name: z.string(),
    state: whole,
    cardinality: whole.default(0),
    parents: z.array(z.string()).nullish(),
    min_vms: maybeWhole,
    max_vms: maybeWhole,
    cooldown: maybeWhole,
    nodes: z.array(node).nullish(),
  })
  .transform(raw => ({
    name: raw.name,
    state: roleStateName(raw.state),
    cardinality: raw.cardinality,
    parents: raw.parents ?? [],
    minVms: raw.min_vms,
    maxVms: raw.max_vms,
    cooldown: raw.cooldown,
    nodes: raw.nodes ?? [],
  }));

const logEntry = z.object({ timestamp: whole, severity: z.string(), message: z.string() });

const serviceBody = z.object({
  state: whole,
  start_time: maybeWhole,
  roles: z.array(role),
  log: z.array(logEntry).nullish(),
});

export const service: z.ZodType<Service> = document.transform((raw, context) => {
  const body = serviceBody.safeParse(raw.TEMPLATE.BODY);
  if (!body.success) {
    context.addIssue({ code: 'custom', message: z.prettifyError(body.error) });
    return z.NEVER;
  }
  return {
    ...identity(raw),
    state: serviceStateName(body.data.state),
    startTime: body.data.start_time,
    roles: body.data.roles,
    log: body.data.log ?? [],
    body: raw.TEMPLATE.BODY,
  };
});

export const serviceTemplate: z.ZodType<ServiceTemplate> = document.transform(raw => {
  const registered = raw.TEMPLATE.BODY.registration_time;
  return {
    ...identity(raw),
    registeredAt: typeof registered === 'number' ? registered : undefined,
    body: raw.TEMPLATE.BODY,
  };
});

/** One document. */
export function documentAnswer<Item>(item: z.ZodType<Item>): z.ZodType<Item> {
  return z.object({ DOCUMENT: item }).transform(raw => raw.DOCUMENT);
}

/**
 * A list: `DOCUMENT` is missing when it is empty. What somebody else put there in another shape is passed over: it must
 * not hide the rest.
 */
export function poolAnswer<Item>(item: z.ZodType<Item>): z.ZodType<Item[]> {
  return z
    .object({ DOCUMENT_POOL: z.object({ DOCUMENT: z.array(z.unknown()).optional() }) })
    .transform(raw => (raw.DOCUMENT_POOL.DOCUMENT ?? []).flatMap(document => readable(item, document)));
}

function readable<Item>(item: z.ZodType<Item>, document: unknown): Item[] {
  const result = item.safeParse(document);
  return result.success ? [result.data] : [];
}

function identity(raw: z.infer<typeof document>) {
  return { id: raw.ID, name: raw.NAME, uid: raw.UID, uname: raw.UNAME };
}
