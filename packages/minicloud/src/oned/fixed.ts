import { authorizeRead } from './access.ts';
import type { Core } from './core.ts';
import { notFound } from './errors.ts';
import type { Methods } from './methods.ts';
import { element, idList, renderPermissions } from './render.ts';
import { renderTemplate, type Template } from './template/attributes.ts';

/** One rule of the access list of a fresh installation; the numbers are oned's encoding of the words. */
interface Rule {
  id: number;
  user: string;
  resource: string;
  rights: number;
  zone: string;
  words: string;
}

const group1 = '200000001';
const everybody = '400000000';
const zone0 = '100000000';
const create = '@1 VM+IMAGE+TEMPLATE+DOCUMENT+SECGROUP+VMGROUP+BACKUPJOB/* CREATE *';

const rules: readonly Rule[] = [
  { id: 0, user: group1, resource: '121429400000000', rights: 8, zone: everybody, words: create },
  { id: 3, user: group1, resource: '2400000000', rights: 2, zone: zone0, words: '@1 HOST/* MANAGE #0' },
  { id: 4, user: group1, resource: '4400000000', rights: 1, zone: zone0, words: '@1 NET/* USE #0' },
  { id: 5, user: group1, resource: '100400000000', rights: 1, zone: zone0, words: '@1 DATASTORE/* USE #0' },
  { id: 1, user: everybody, resource: '800400000000', rights: 1, zone: everybody, words: '* ZONE/* USE *' },
  {
    id: 2,
    user: everybody,
    resource: '18000400000000',
    rights: 1,
    zone: everybody,
    words: '* MARKETPLACE+MARKETPLACEAPP/* USE *',
  },
];

function renderRule(rule: Rule): string {
  return [
    '<ACL>',
    element('ID', rule.id),
    element('USER', rule.user),
    element('RESOURCE', rule.resource),
    element('RIGHTS', rule.rights),
    element('ZONE', rule.zone),
    element('STRING', rule.words),
    '</ACL>',
  ].join('');
}

function renderZone(endpoint: string): string {
  const template: Template = [{ name: 'ENDPOINT', value: endpoint }];
  return `<ZONE>${element('ID', 0)}${element('NAME', 'OpenNebula')}${element('STATE', 0)}${renderTemplate(template)}<SERVER_POOL></SERVER_POOL></ZONE>`;
}

function renderCluster(core: Core): string {
  const ids = (objects: readonly { id: number }[]): number[] => objects.map(object => object.id);
  const template: Template = [
    { name: 'RESERVED_CPU', value: '' },
    { name: 'RESERVED_MEM', value: '' },
  ];
  return [
    `<CLUSTER>${element('ID', 0)}${element('NAME', 'default')}`,
    idList('HOSTS', ids(core.hosts.list())),
    idList('DATASTORES', ids(core.datastores.list())),
    idList('VNETS', ids(core.networks.list())),
    `${renderTemplate(template)}</CLUSTER>`,
  ].join('');
}

/** The rules of the security group that every network has: everything passes. */
export const defaultRules: readonly Record<string, string>[] = [
  { PROTOCOL: 'ALL', RULE_TYPE: 'OUTBOUND' },
  { PROTOCOL: 'ALL', RULE_TYPE: 'INBOUND' },
];

function renderSecurityGroups(core: Core): string {
  const object = { id: 0, uid: 0, gid: 0, name: 'default', permissions: '111100100', template: [] };
  const template: Template = [
    { name: 'DESCRIPTION', value: 'Every network has this group; it lets everything pass.' },
    ...defaultRules.map(value => ({ name: 'RULE', value })),
  ];
  return [
    '<SECURITY_GROUP_POOL><SECURITY_GROUP>',
    `${element('ID', 0)}${element('UID', 0)}${element('GID', 0)}`,
    `${element('UNAME', core.accounts.userName(0))}${element('GNAME', core.accounts.groupName(0))}`,
    element('NAME', object.name),
    renderPermissions(object),
    '<UPDATED_VMS></UPDATED_VMS><OUTDATED_VMS></OUTDATED_VMS><UPDATING_VMS></UPDATING_VMS><ERROR_VMS></ERROR_VMS>',
    `${renderTemplate(template)}</SECURITY_GROUP></SECURITY_GROUP_POOL>`,
  ].join('');
}

function renderVdcs(): string {
  const template: Template = [{ name: 'DESCRIPTION', value: 'Holds every group and the one cluster.' }];
  return `<VDC_POOL><VDC>${element('ID', 0)}${element('NAME', 'default')}${idList('GROUPS', [1])}<CLUSTERS><CLUSTER>${element('ZONE_ID', 0)}${element('CLUSTER_ID', -10)}</CLUSTER></CLUSTERS><HOSTS></HOSTS><DATASTORES></DATASTORES><VNETS></VNETS>${renderTemplate(template)}</VDC></VDC_POOL>`;
}

const raft: [string, number][] = [
  ['SERVER_ID', -1],
  ['STATE', 0],
  ['TERM', 0],
  ['VOTEDFOR', -1],
  ['COMMIT', 0],
  ['LOG_INDEX', -1],
  ['LOG_TERM', -1],
  ['FEDLOG_INDEX', -1],
];

/** What an installation has one of and this cloud never changes: zone, cluster, VDC, access list, security group. */
export function fixedMethods(core: Core, endpoint: string): Methods {
  return {
    'one.zonepool.info': {
      args: [],
      help: 'Returns all zones',
      run: () => `<ZONE_POOL>${renderZone(endpoint)}</ZONE_POOL>`,
    },
    'one.zone.info': {
      args: ['int', 'boolean'],
      required: 1,
      help: 'Returns a zone',
      run(_caller, args) {
        if (args.int(0) !== 0) throw notFound('zone', args.int(0));
        return renderZone(endpoint);
      },
    },
    'one.zone.raftstatus': {
      args: [],
      help: 'Returns the state of replication: there is none',
      run: () => `<RAFT>${raft.map(([name, value]) => element(name, value)).join('')}</RAFT>`,
    },
    'one.clusterpool.info': {
      args: [],
      help: 'Returns all clusters',
      run: () => `<CLUSTER_POOL>${renderCluster(core)}</CLUSTER_POOL>`,
    },
    'one.cluster.info': {
      args: ['int', 'boolean'],
      required: 1,
      help: 'Returns a cluster',
      run(_caller, args) {
        if (args.int(0) !== 0) throw notFound('cluster', args.int(0));
        return renderCluster(core);
      },
    },
    'one.vdcpool.info': {
      args: [],
      help: 'Returns all virtual data centres',
      run(caller) {
        authorizeRead(caller, { operation: 'USE', kind: 'VDC' });
        return renderVdcs();
      },
    },
    'one.acl.info': {
      args: [],
      help: 'Returns the access list',
      run: () => `<ACL_POOL>${rules.map(renderRule).join('')}</ACL_POOL>`,
    },
    'one.secgrouppool.info': {
      args: ['int', 'int', 'int'],
      help: 'Returns the security groups',
      run: () => renderSecurityGroups(core),
    },
  };
}
