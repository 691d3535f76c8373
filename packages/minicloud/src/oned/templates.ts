import { authorize, authorizeRead } from './access.ts';
import { allocateTemplate } from './allocate-template.ts';
import { type Core, readTemplate } from './core.ts';
import type { Methods } from './methods.ts';
import type { Caller, VmTemplate } from './model.ts';
import { need, type OwnedKind, ownedMethods, poolMethod } from './owned.ts';
import { element, renderHead, renderLock, renderPermissions } from './render.ts';
import { renderTemplate, type Template, without } from './template/attributes.ts';

/** What instantiating needs from the part that makes VMs. */
export interface Instantiation {
  /** The template with its disks and networks filled in, for `info` with `extended`. */
  extend(caller: Caller, template: Template): Template;
  instantiate(caller: Caller, source: VmTemplate, wish: { name: string; hold: boolean; extra: string }): number;
}

/** VM templates as a kind of owned objects. */
export function templateKind(core: Core): OwnedKind<VmTemplate> {
  return {
    prefix: 'one.template',
    label: 'TEMPLATE',
    title: 'virtual machine template',
    poolElement: 'VMTEMPLATE_POOL',
    table: core.templates,
    uniqueNames: true,
    render: object => renderVmTemplate(core, object, object.template),
  };
}

function renderVmTemplate(core: Core, object: VmTemplate, template: Template): string {
  return `<VMTEMPLATE>${renderHead(core.accounts, object)}${renderPermissions(object)}${renderLock(object.lock)}${element('REGTIME', object.registered)}${renderTemplate(template)}</VMTEMPLATE>`;
}

/** VM templates. */
export function templateMethods(core: Core, vms: Instantiation): Methods {
  const kind = templateKind(core);
  const allocate = (caller: Caller, template: Template) =>
    allocateTemplate(core, { ...kind, sequence: 'template' }, caller, template);
  return {
    ...ownedMethods(core, kind),
    ...poolMethod(kind),
    'one.template.allocate': {
      args: ['string'],
      help: 'Makes a VM template',
      run(caller, args) {
        const template = readTemplate(args.string(0));
        authorize(caller, { operation: 'CREATE', kind: 'TEMPLATE' });
        return allocate(caller, template);
      },
    },
    'one.template.info': {
      args: ['int', 'boolean', 'boolean'],
      required: 1,
      help: 'Returns a VM template; extended: with what its disks and networks would become',
      run(caller, args) {
        const object = need(kind, args.int(0));
        authorizeRead(caller, { operation: 'USE', kind: 'TEMPLATE', object });
        if (!args.boolean(1)) return kind.render(object);
        return renderVmTemplate(core, object, vms.extend(caller, object.template));
      },
    },
    'one.template.clone': {
      args: ['int', 'string', 'boolean'],
      required: 2,
      help: 'Makes a copy under another name',
      run(caller, args) {
        const object = need(kind, args.int(0));
        authorize(caller, { operation: 'USE', kind: 'TEMPLATE', object }, { operation: 'CREATE', kind: 'TEMPLATE' });
        return allocate(caller, [...without(object.template, 'NAME'), { name: 'NAME', value: args.string(1) }]);
      },
    },
    'one.template.instantiate': {
      args: ['int', 'string', 'boolean', 'string', 'boolean'],
      required: 2,
      help: 'Makes a VM: name, on hold, extra template, persistent',
      run(caller, args) {
        const object = need(kind, args.int(0));
        authorize(caller, { operation: 'USE', kind: 'TEMPLATE', object });
        return vms.instantiate(caller, object, {
          name: args.string(1),
          hold: args.boolean(2),
          extra: args.string(3),
        });
      },
    },
  };
}
