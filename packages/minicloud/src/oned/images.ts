import { authorize } from './access.ts';
import { type Core, readTemplate } from './core.ts';
import { ownerOnly } from './documents.ts';
import { errno, notFound, RequestError } from './errors.ts';
import { type Image, imageState } from './infrastructure.ts';
import type { Methods } from './methods.ts';
import type { Caller } from './model.ts';
import { checkName, checkNameIsFree } from './names.ts';
import { need, type OwnedKind, ownedMethods, poolMethod } from './owned.ts';
import { element, idList, renderHead, renderLock, renderPermissions } from './render.ts';
import { cdata, type Pairs, renderTemplate, single, type Template, without } from './template/attributes.ts';

const types: Record<string, number> = { OS: 0, CDROM: 1, DATABLOCK: 2, KERNEL: 3, RAMDISK: 4, CONTEXT: 5 };
/** Attributes that become fields of the image. */
const fields = ['NAME', 'TYPE', 'PATH', 'SIZE', 'FORMAT', 'FS', 'PERSISTENT', 'SOURCE'];
/** MiB, for an image whose file is not looked at: what the recorded dummy driver says of every path. */
const assumedSize = 1024;

/** Ids of the VMs that use an image. */
function usersOf(core: Core, image: number): number[] {
  return [...core.vms.lookup('image', image)].sort((a, b) => a - b);
}

function renderImage(core: Core, image: Image): string {
  const vms = usersOf(core, image.id);
  const used = image.state === imageState.ready && vms.length > 0;
  const state = used ? imageState.used : image.state;
  const snapshots: Template = [
    { name: 'ALLOW_ORPHANS', value: 'NO' },
    { name: 'CURRENT_BASE', value: '-1' },
    { name: 'NEXT_SNAPSHOT', value: '0' },
  ];
  return [
    `<IMAGE>${renderHead(core.accounts, image)}${renderPermissions(image)}${renderLock(image.lock)}`,
    element('TYPE', image.type),
    element('DISK_TYPE', 0),
    element('PERSISTENT', image.persistent ? 1 : 0),
    element('REGTIME', image.registered),
    element('MODTIME', image.modified),
    `<SOURCE>${cdata(image.source)}</SOURCE><PATH>${cdata(image.path)}</PATH>`,
    `<FORMAT>${cdata(image.format)}</FORMAT><FS>${cdata(image.fs)}</FS>`,
    element('SIZE', image.size),
    element('STATE', state),
    element('PREV_STATE', image.state === imageState.locked ? 0 : state),
    element('RUNNING_VMS', vms.length),
    element('CLONING_OPS', 0),
    element('CLONING_ID', -1),
    element('TARGET_SNAPSHOT', -1),
    element('DATASTORE_ID', image.datastoreId),
    element('DATASTORE', core.datastores.get(image.datastoreId)?.name ?? ''),
    idList('VMS', vms),
    '<CLONES></CLONES><APP_CLONES></APP_CLONES>',
    renderTemplate(image.template),
    renderTemplate(snapshots, 'SNAPSHOTS'),
    '<BACKUP_INCREMENTS></BACKUP_INCREMENTS><BACKUP_DISK_IDS></BACKUP_DISK_IDS></IMAGE>',
  ].join('');
}

function sizeOf(template: Template): number {
  const given = single(template, 'SIZE');
  if (given === undefined && single(template, 'PATH') !== undefined) return assumedSize;
  const size = Number(given);
  if (given !== undefined && Number.isInteger(size) && size > 0) return size;
  throw new RequestError(errno.internal, 'Cannot parse image SIZE: Wrong number or missing SIZE attribute.');
}

function allocate(core: Core, caller: Caller, text: string, datastoreId: number): number {
  const template = readTemplate(text);
  const datastore = core.datastores.get(datastoreId);
  if (!datastore) throw notFound('datastore', datastoreId);
  const size = sizeOf(template);
  authorize(caller, { operation: 'CREATE', kind: 'IMAGE' }, { operation: 'USE', kind: 'DATASTORE', object: datastore });
  const name = single(template, 'NAME') ?? '';
  checkName(name);
  checkNameIsFree(core.images, { uid: caller.id, name }, 'IMAGE');
  const id = core.store.takeId('image');
  const rest = without(template, ...fields);
  const prefixed = single(rest, 'DEV_PREFIX') !== undefined;
  core.images.put({
    id,
    uid: caller.id,
    gid: caller.gid,
    name,
    permissions: ownerOnly,
    type: types[single(template, 'TYPE') ?? 'OS'] ?? 0,
    persistent: single(template, 'PERSISTENT')?.toUpperCase() === 'YES',
    registered: core.seconds(),
    modified: core.seconds(),
    source: '',
    path: single(template, 'PATH') ?? '',
    format: single(template, 'PATH') === undefined ? (single(template, 'FORMAT') ?? '') : '',
    fs: single(template, 'FS') ?? '',
    size,
    state: imageState.locked,
    datastoreId,
    template: prefixed ? rest : [...rest, { name: 'DEV_PREFIX', value: 'sd' }],
  });
  core.later(() => makeImageReady(core, id));
  return id;
}

/** The datastore's driver has the image: what the recorded dummy driver says of it. */
export function makeImageReady(core: Core, id: number): void {
  const image = core.images.get(id);
  if (!image || image.state !== imageState.locked) return;
  core.images.put({ ...image, state: imageState.ready, source: 'dummy_path', format: image.format || 'dummy_format' });
}

/** Images. */
export function imageMethods(core: Core): Methods {
  const kind: OwnedKind<Image> = {
    prefix: 'one.image',
    label: 'IMAGE',
    title: 'image',
    poolElement: 'IMAGE_POOL',
    table: core.images,
    uniqueNames: true,
    render: image => renderImage(core, image),
    beforeDelete(_caller, image) {
      const used = usersOf(core, image.id).length;
      if (used === 0) return;
      throw new RequestError(errno.action, `Cannot delete image. There are ${used} VMs using it.`);
    },
  };
  return {
    ...ownedMethods(core, kind),
    ...poolMethod(kind),
    'one.image.allocate': {
      args: ['string', 'int', 'boolean'],
      required: 2,
      help: 'Makes an image in a datastore',
      run: (caller, args) => allocate(core, caller, args.string(0), args.int(1)),
    },
    'one.image.persistent': {
      args: ['int', 'boolean'],
      help: 'Makes an image persistent or not',
      run(caller, args) {
        const image = need(kind, args.int(0));
        authorize(caller, { operation: 'MANAGE', kind: 'IMAGE', object: image });
        core.images.put({ ...image, persistent: args.boolean(1) });
        return image.id;
      },
    },
    'one.image.enable': {
      args: ['int', 'boolean'],
      help: 'Lets VMs use an image, or not',
      run(caller, args) {
        const image = need(kind, args.int(0));
        authorize(caller, { operation: 'MANAGE', kind: 'IMAGE', object: image });
        core.images.put({ ...image, state: args.boolean(1) ? imageState.ready : imageState.disabled });
        return image.id;
      },
    },
  };
}

/** The image that a disk names, by id or by name and owner; undefined when it names none. */
export function findImage(core: Core, caller: Caller, disk: Pairs, diskId: number): Image | undefined {
  if (disk.IMAGE_ID !== undefined) {
    const image = core.images.get(Number(disk.IMAGE_ID));
    if (image) return image;
    throw new RequestError(errno.internal, `DISK ${diskId}: Image with ID: ${disk.IMAGE_ID} does not exist`);
  }
  if (disk.IMAGE === undefined) return undefined;
  const owner = disk.IMAGE_UNAME === undefined ? caller.id : core.accounts.byName(disk.IMAGE_UNAME)?.id;
  const [id] = core.images.lookup('name', `${owner}:${disk.IMAGE}`);
  const image = id === undefined ? undefined : core.images.get(id);
  if (image) return image;
  throw new RequestError(
    errno.internal,
    `DISK ${diskId}: User ${owner ?? caller.id} does not own an image with name: ${disk.IMAGE} . Set IMAGE_UNAME or IMAGE_UID of owner in DISK.`,
  );
}
