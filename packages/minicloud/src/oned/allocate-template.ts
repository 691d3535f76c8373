import type { Core } from './core.ts';
import { ownerOnly } from './documents.ts';
import type { Caller, VmTemplate } from './model.ts';
import { checkName, checkNameIsFree } from './names.ts';
import type { OwnedKind } from './owned.ts';
import { single, type Template, without } from './template/attributes.ts';

/** A kind of templates, and where their ids come from. */
interface TemplateKind extends Pick<OwnedKind<VmTemplate>, 'table' | 'label'> {
  sequence: 'template' | 'networktemplate';
}

/** Keeps a template, of VMs or of networks, under the name in it. @returns its id. @throws RequestError */
export function allocateTemplate(core: Core, kind: TemplateKind, caller: Caller, template: Template): number {
  const name = single(template, 'NAME') ?? '';
  checkName(name);
  checkNameIsFree(kind.table, { uid: caller.id, name }, kind.label);
  const id = core.store.takeId(kind.sequence);
  kind.table.put({
    id,
    uid: caller.id,
    gid: caller.gid,
    name,
    permissions: ownerOnly,
    registered: core.seconds(),
    template: without(template, 'NAME'),
  });
  return id;
}
