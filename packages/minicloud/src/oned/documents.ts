import { authorize, authorizeRead } from './access.ts';
import { type Core, readTemplate } from './core.ts';
import type { Methods } from './methods.ts';
import type { Caller, Document } from './model.ts';
import { checkName } from './names.ts';
import { need, type OwnedKind, ownedMethods, selectPool } from './owned.ts';
import { element, renderHead, renderLock, renderPermissions } from './render.ts';
import { renderTemplate, single, type Template, without } from './template/attributes.ts';

/** Permissions of a new object under the default umask 177: use and manage for the owner. */
export const ownerOnly = '110000000';

function cannotBeStored(template: Template): boolean {
  return template.some(({ value }) =>
    typeof value === 'string' ? value.includes(']]>') : Object.values(value).some(text => text.includes(']]>')),
  );
}

function allocate(core: Core, caller: Caller, template: Template, type: number): number {
  const name = single(template, 'NAME');
  if (name !== undefined) checkName(name);
  const id = core.store.takeId('document');
  core.documents.put({
    id,
    uid: caller.id,
    gid: caller.gid,
    name: name ?? `document-${id}`,
    permissions: ownerOnly,
    type,
    template: without(template, 'NAME'),
  });
  return id;
}

/** Documents: what OneFlow keeps its services (type 100) and service templates (101) in. */
export function documentMethods(core: Core): Methods {
  const kind: OwnedKind<Document> = {
    prefix: 'one.document',
    label: 'DOCUMENT',
    title: 'document',
    poolElement: 'DOCUMENT_POOL',
    table: core.documents,
    uniqueNames: false,
    render: document =>
      `<DOCUMENT>${renderHead(core.accounts, document)}${element('TYPE', document.type)}${renderPermissions(document)}${renderLock(document.lock)}${renderTemplate(document.template)}</DOCUMENT>`,
    update(document, template, append) {
      // Seen: a value that holds the end of a CDATA section is answered as done and not kept.
      if (cannotBeStored(template)) return document;
      const kept = append
        ? document.template.filter(old => !template.some(attribute => attribute.name === old.name))
        : [];
      return { ...document, template: [...kept, ...template] };
    },
  };
  return {
    ...ownedMethods(core, kind),
    'one.document.allocate': {
      args: ['string', 'int'],
      help: 'Makes a document of a type',
      run(caller, args) {
        const template = readTemplate(args.string(0));
        authorize(caller, { operation: 'CREATE', kind: 'DOCUMENT' });
        return allocate(core, caller, template, args.int(1));
      },
    },
    'one.document.clone': {
      args: ['int', 'string'],
      help: 'Makes a copy under another name',
      run(caller, args) {
        const document = need(kind, args.int(0));
        authorizeRead(caller, { operation: 'USE', kind: 'DOCUMENT', object: document });
        authorize(caller, { operation: 'CREATE', kind: 'DOCUMENT' });
        const template = [...document.template, { name: 'NAME', value: args.string(1) }];
        return allocate(core, caller, template, document.type);
      },
    },
    'one.documentpool.info': {
      args: ['int', 'int', 'int', 'int'],
      help: 'Returns the documents of a type',
      run(caller, args) {
        const type = args.int(3);
        const objects = core.documents.list().filter(document => document.type === type);
        const range = { flag: args.int(0), start: args.int(1), end: args.int(2) };
        const rendered = selectPool(caller, 'DOCUMENT', objects, range).map(kind.render);
        return `<DOCUMENT_POOL>${rendered.join('')}</DOCUMENT_POOL>`;
      },
    },
  };
}
