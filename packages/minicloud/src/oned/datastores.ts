import { authorize } from './access.ts';
import { type Core, readTemplate } from './core.ts';
import { errno, RequestError } from './errors.ts';
import type { Datastore } from './infrastructure.ts';
import type { Methods } from './methods.ts';
import type { Caller } from './model.ts';
import { checkName, checkNameIsFree } from './names.ts';
import { need, type OwnedKind, ownedMethods, selectPool } from './owned.ts';
import { element, idList, renderHead, renderLock, renderPermissions } from './render.ts';
import { cdata, renderTemplate, single, type Template, without } from './template/attributes.ts';

const permissions = '110100000';
const types: Record<string, 0 | 1 | 2> = { IMAGE_DS: 0, SYSTEM_DS: 1, FILE_DS: 2 };

/** What the transfer drivers bring into a datastore's template. */
const transfer: Record<string, { orphans: string; link: string; shared: string }> = {
  dummy: { orphans: 'NO', link: 'NONE', shared: 'YES' },
  local: { orphans: 'FORMAT', link: 'SYSTEM', shared: 'NO' },
};

function attribute(name: string, value: string): Template[number] {
  return { name, value };
}

function defaultsFor(type: number, driver: string): Template {
  const of = transfer[driver] ?? { orphans: 'NO', link: 'NONE', shared: 'NO' };
  const common = [
    attribute('ALLOW_ORPHANS', of.orphans),
    attribute('PERSISTENT_SNAPSHOTS', 'YES'),
    attribute('RESTRICTED_DIRS', '/'),
    attribute('SAFE_DIRS', '/var/tmp'),
  ];
  if (type === 1) {
    const live = ['DS_LIVE_MIGRATE', 'DS_MIGRATE', 'DS_MIGRATE_SNAP'].map(name => attribute(name, 'YES'));
    return [...common, ...live, attribute('DISK_TYPE', 'FILE'), attribute('SHARED', of.shared)];
  }
  const images = [...common, attribute('CLONE_TARGET', 'SYSTEM'), attribute('LN_TARGET', of.link)];
  return type === 2 ? images : [...images, attribute('DISK_TYPE', 'FILE')];
}

/** Ids of the images in a datastore. */
function imagesIn(core: Core, datastore: number): number[] {
  return [...core.images.lookup('datastore', datastore)].sort((a, b) => a - b);
}

function renderDatastore(core: Core, datastore: Datastore): string {
  const size = datastore.id === 0 ? 0 : core.capacity.disk;
  return [
    `<DATASTORE>${renderHead(core.accounts, datastore)}${renderPermissions(datastore)}${renderLock(datastore.lock)}`,
    `<DS_MAD>${cdata(single(datastore.template, 'DS_MAD') ?? '-')}</DS_MAD>`,
    `<TM_MAD>${cdata(single(datastore.template, 'TM_MAD') ?? '')}</TM_MAD>`,
    `<BASE_PATH>${cdata(`/var/lib/one/datastores/${datastore.id}`)}</BASE_PATH>`,
    element('TYPE', datastore.type),
    element('DISK_TYPE', 0),
    element('STATE', datastore.enabled ? 0 : 1),
    idList('CLUSTERS', [0]),
    element('TOTAL_MB', size),
    element('FREE_MB', size),
    element('USED_MB', 0),
    idList('IMAGES', imagesIn(core, datastore.id)),
    `${renderTemplate(datastore.template)}</DATASTORE>`,
  ].join('');
}

function add(core: Core, id: number, owner: { uid: number; gid: number }, name: string, given: Template): void {
  const type = types[single(given, 'TYPE') ?? 'IMAGE_DS'] ?? 0;
  const driver = single(given, 'TM_MAD') ?? '';
  const defaults = defaultsFor(type, driver).filter(({ name: key }) => single(given, key) === undefined);
  core.datastores.put({ id, ...owner, name, permissions, type, enabled: true, template: [...defaults, ...given] });
}

/** The three datastores of a fresh installation. */
export function initialiseDatastores(core: Core): void {
  if (core.datastores.get(0)) return;
  const owner = { uid: 0, gid: 0 };
  const local = attribute('TM_MAD', 'local');
  add(core, 0, owner, 'system', [local, attribute('TYPE', 'SYSTEM_DS')]);
  add(core, 1, owner, 'default', [attribute('DS_MAD', 'fs'), local, attribute('TYPE', 'IMAGE_DS')]);
  add(core, 2, owner, 'files', [attribute('DS_MAD', 'fs'), local, attribute('TYPE', 'FILE_DS')]);
  core.store.setNextId('datastore', 100);
}

function allocate(core: Core, caller: Caller, text: string, cluster: number): number {
  const template = readTemplate(text);
  authorize(caller, { operation: 'CREATE', kind: 'DATASTORE' }, { operation: 'ADMIN', kind: 'CLUSTER', id: cluster });
  const name = single(template, 'NAME') ?? '';
  checkName(name);
  checkNameIsFree(core.datastores, { uid: caller.id, name }, 'DATASTORE');
  const type = types[single(template, 'TYPE') ?? 'IMAGE_DS'] ?? 0;
  for (const wanted of type === 1 ? ['TM_MAD'] : ['DS_MAD', 'TM_MAD']) {
    if (single(template, wanted) === undefined) throw new RequestError(errno.internal, `No ${wanted} in template.`);
  }
  const id = core.store.takeId('datastore');
  add(core, id, { uid: caller.id, gid: caller.gid }, name, without(template, 'NAME'));
  return id;
}

/** Datastores. */
export function datastoreMethods(core: Core): Methods {
  const kind: OwnedKind<Datastore> = {
    prefix: 'one.datastore',
    label: 'DATASTORE',
    title: 'datastore',
    poolElement: 'DATASTORE_POOL',
    table: core.datastores,
    uniqueNames: true,
    render: datastore => renderDatastore(core, datastore),
    beforeDelete(_caller, datastore) {
      if (imagesIn(core, datastore.id).length === 0) return;
      throw new RequestError(errno.action, `Cannot delete datastore. Datastore ${datastore.id} is not empty.`);
    },
  };
  return {
    ...ownedMethods(core, kind),
    'one.datastorepool.info': {
      args: [],
      help: 'Returns all datastores',
      run(caller) {
        const all = selectPool(caller, 'DATASTORE', core.datastores.list(), { flag: -2, start: -1, end: -1 });
        return `<DATASTORE_POOL>${all.map(kind.render).join('')}</DATASTORE_POOL>`;
      },
    },
    'one.datastore.allocate': {
      args: ['string', 'int'],
      required: 1,
      help: 'Makes a datastore',
      run: (caller, args) => allocate(core, caller, args.string(0), Math.max(0, args.int(1))),
    },
    'one.datastore.enable': {
      args: ['int', 'boolean'],
      help: 'Lets a system datastore take VMs, or not',
      run(caller, args) {
        const datastore = need(kind, args.int(0));
        authorize(caller, { operation: 'MANAGE', kind: 'DATASTORE', object: datastore });
        core.datastores.put({ ...datastore, enabled: args.boolean(1) });
        core.reschedule();
        return datastore.id;
      },
    },
  };
}
