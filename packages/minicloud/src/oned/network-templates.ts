import { authorize } from './access.ts';
import { allocateTemplate } from './allocate-template.ts';
import { type Core, readTemplate } from './core.ts';
import { errno } from './errors.ts';
import type { Methods } from './methods.ts';
import type { VmTemplate } from './model.ts';
import { allocateNetwork } from './networks.ts';
import { need, type OwnedKind, ownedMethods, poolMethod } from './owned.ts';
import { element, renderHead, renderLock, renderPermissions } from './render.ts';
import { merge, renderTemplate, single, withAttribute } from './template/attributes.ts';

/** Network templates, which OneFlow makes a service's networks from. */
export function networkTemplateMethods(core: Core): Methods {
  const kind: OwnedKind<VmTemplate> = {
    prefix: 'one.vntemplate',
    label: 'VNTEMPLATE',
    title: 'virtual network template',
    poolElement: 'VNTEMPLATE_POOL',
    table: core.networkTemplates,
    uniqueNames: true,
    render: object =>
      `<VNTEMPLATE>${renderHead(core.accounts, object)}${renderPermissions(object)}${renderLock(object.lock)}${element('REGTIME', object.registered)}${renderTemplate(object.template)}</VNTEMPLATE>`,
  };
  return {
    ...ownedMethods(core, kind),
    ...poolMethod(kind),
    'one.vntemplate.allocate': {
      args: ['string'],
      help: 'Makes a network template',
      run(caller, args) {
        const template = readTemplate(args.string(0));
        authorize(caller, { operation: 'CREATE', kind: 'VNTEMPLATE' });
        return allocateTemplate(core, { ...kind, sequence: 'networktemplate' }, caller, template);
      },
    },
    'one.vntemplate.instantiate': {
      args: ['int', 'string', 'string', 'int'],
      required: 2,
      help: 'Makes a network: name, extra template, cluster',
      run(caller, args) {
        const object = need(kind, args.int(0));
        authorize(caller, { operation: 'USE', kind: 'VNTEMPLATE', object });
        const extra = readTemplate(args.string(2), errno.internal);
        const merged = merge(object.template, extra);
        const name = args.string(1) === '' ? (single(extra, 'NAME') ?? object.name) : args.string(1);
        return allocateNetwork(core, caller, withAttribute(merged, 'NAME', name), object.id);
      },
    },
  };
}
