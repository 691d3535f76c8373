import { OneFlowerError, type Role } from '@oneflower/contract';
import {
  type Attributes,
  type AttributeValue,
  isNameTaken,
  isNotFound,
  type JsonValue,
  type Template,
  type TemplateItem,
} from '@oneflower/opennebula';
import type { Cloud } from '../cloud.ts';
import type { Notify } from '../notify.ts';
import type { ServicePlan } from '../plan/plan.ts';
import type { ServiceTemplate } from '../plan/service-template.ts';
import type { VmTemplatePlan } from '../plan/vm-template.ts';
import type { Resources } from './resources.ts';

/** Something that a deployment has made, so that nothing is left unmentioned when it ends early. */
export interface Made {
  kind: 'VM template' | 'service template' | 'service';
  name: string;
  id: number;
}

export interface Registration {
  cloud: Cloud;
  notify: Notify;
  made: Made[];
}

/** Registers the VM templates of a plan, or finds those of the same content. */
export async function registerVmTemplates(
  { cloud, notify, made }: Registration,
  plan: ServicePlan,
  { image }: Resources,
): Promise<Record<Role, number>> {
  const ids: Record<Role, number> = { superlink: -1, supernode: -1 };
  for (const planned of plan.vmTemplates(image.id)) {
    const found = await findVmTemplate(cloud, planned);
    const { id, reused } = found === undefined ? await createVmTemplate(cloud, planned) : { id: found, reused: true };
    if (!reused) made.push({ kind: 'VM template', name: planned.name, id });
    notify({ type: 'template_registered', kind: 'vm', name: planned.name, id, reused });
    ids[planned.role] = id;
  }
  return ids;
}

async function findVmTemplate(cloud: Cloud, { name, template }: VmTemplatePlan): Promise<number | undefined> {
  const found = (await cloud.oned.templates.list('mine')).find(one => one.name === name);
  if (found && !holds(found.template, template)) throw changed(name, found.id);
  return found?.id;
}

async function createVmTemplate(cloud: Cloud, planned: VmTemplatePlan): Promise<{ id: number; reused: boolean }> {
  try {
    return { id: await cloud.oned.templates.create(planned.template), reused: false };
  } catch (error) {
    // Another deployment has registered the same one meanwhile.
    const id = isNameTaken(error) ? await findVmTemplate(cloud, planned) : undefined;
    if (id === undefined) throw error;
    return { id, reused: true };
  }
}

/** Registers the service template, or finds one of the same content. One with secrets is never shared. */
export async function registerServiceTemplate(
  { cloud, notify, made }: Registration,
  plan: ServicePlan,
  template: ServiceTemplate<number>,
): Promise<number> {
  const found = plan.secret ? undefined : await findServiceTemplate(cloud, template);
  const id = found ?? (await createServiceTemplate(cloud, template));
  if (found === undefined) made.push({ kind: 'service template', name: template.name, id });
  notify({ type: 'template_registered', kind: 'service', name: template.name, id, reused: found !== undefined });
  return id;
}

/** The number of the registered service template that holds all that this one holds. */
export async function findServiceTemplate(cloud: Cloud, template: ServiceTemplate): Promise<number | undefined> {
  const existing = await cloud.oneflow.templates.list();
  return existing.find(one => one.name === template.name && includes(one.body, JSON.parse(JSON.stringify(template))))
    ?.id;
}

/** Removes a service template; one that is gone already is no failure. */
export async function dropServiceTemplate(cloud: Cloud, id: number): Promise<void> {
  try {
    await cloud.oneflow.templates.delete(id);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

async function createServiceTemplate(cloud: Cloud, template: ServiceTemplate<number>): Promise<number> {
  const { roles, ...rest } = template;
  const { id } = await cloud.oneflow.templates.create({
    ...rest,
    roles: roles.map(({ template_contents, ...role }) => ({ ...role, template_contents: { ...template_contents } })),
  });
  return id;
}

/** Whether a stored template still has everything that was registered under its name. */
function holds(stored: Attributes, template: Template): boolean {
  return Object.entries(template).every(([name, value]) => {
    if (name === 'NAME') return true;
    const kept = stored[name];
    const wanted: TemplateItem[] = Array.isArray(value) ? [...value] : [value as TemplateItem];
    const items = Array.isArray(kept) ? kept : [kept];
    return wanted.length === items.length && wanted.every((item, index) => sameItem(items[index], item));
  });
}

function sameItem(kept: AttributeValue | undefined, wanted: TemplateItem): boolean {
  if (typeof wanted !== 'object') return kept === String(wanted);
  if (typeof kept !== 'object' || Array.isArray(kept)) return false;
  return Object.entries(wanted).every(([key, value]) => kept[key] === String(value));
}

/** Whether `whole` has everything of `part`. OneFlow adds keys of its own to a template. */
function includes(whole: JsonValue | undefined, part: JsonValue): boolean {
  if (Array.isArray(part)) {
    return (
      Array.isArray(whole) && whole.length === part.length && part.every((item, index) => includes(whole[index], item))
    );
  }
  if (typeof part === 'object' && part !== null) {
    if (typeof whole !== 'object' || whole === null || Array.isArray(whole)) return false;
    return Object.entries(part).every(([key, value]) => includes(whole[key], value));
  }
  return whole === part;
}

function changed(name: string, id: number): OneFlowerError {
  return new OneFlowerError({
    code: 'template-changed',
    message: `The VM template ${name} (${id}) is no longer what it was registered as.`,
    reason: 'Somebody has edited it.',
    remedy: `Rename it (onetemplate rename ${id} NAME) or delete it (onetemplate delete ${id}), then deploy again.`,
    fault: 'user',
  });
}
