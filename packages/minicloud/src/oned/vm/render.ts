import type { Core } from '../core.ts';
import { element, renderHead, renderLock, renderPermissions } from '../render.ts';
import { cdata, type Pairs, renderTemplate, single, type Template, vectors } from '../template/attributes.ts';
import type { HistoryRecord, Vm } from './model.ts';

/** The attributes that a VM in `one.vmpool.info` shows of its disks, NICs and graphics. */
const shown: Record<string, readonly string[]> = {
  DISK: [
    'DISK_ID',
    'DATASTORE',
    'DATASTORE_ID',
    'IMAGE',
    'IMAGE_ID',
    'SIZE',
    'TYPE',
    'CLONE',
    'CLONE_TARGET',
    'LN_TARGET',
    'DISK_SNAPSHOT_TOTAL_SIZE',
  ],
  NIC: ['IP', 'MAC', 'NETWORK', 'NETWORK_ID', 'NIC_ID', 'SECURITY_GROUPS'],
  GRAPHICS: ['LISTEN', 'PORT', 'TYPE'],
};

function renderRecord(vm: Vm, record: HistoryRecord): string {
  const numbers: [string, number][] = [
    ['DS_ID', record.datastoreId],
    ['PLAN_ID', record.planId],
    ['ACTION_ID', record.actionId],
    ['PSTIME', record.prologStart],
    ['PETIME', record.prologEnd],
    ['RSTIME', record.runStart],
    ['RETIME', record.runEnd],
    ['ESTIME', record.epilogStart],
    ['EETIME', record.epilogEnd],
    ['ACTION', record.action],
    ['UID', record.uid],
    ['GID', record.gid],
    ['REQUEST_ID', record.requestId],
  ];
  return [
    `<HISTORY>${element('OID', vm.id)}${element('SEQ', record.seq)}`,
    `${element('HOSTNAME', record.hostName)}${element('HID', record.hostId)}${element('CID', 0)}`,
    `${element('STIME', record.start)}${element('ETIME', record.end)}`,
    `<VM_MAD>${cdata(record.vmMad)}</VM_MAD><TM_MAD>${cdata(record.tmMad)}</TM_MAD>`,
    ...numbers.map(([name, value]) => element(name, value)),
    '</HISTORY>',
  ].join('');
}

function renderRecords(records: string): string {
  return records === '' ? '<HISTORY_RECORDS/>' : `<HISTORY_RECORDS>${records}</HISTORY_RECORDS>`;
}

/** A VM whole, as `one.vm.info` gives it; in pools only its last history record is shown. */
export function renderVm(core: Core, vm: Vm, lastRecordOnly = false): string {
  const records = lastRecordOnly ? vm.history.slice(-1) : vm.history;
  return [
    `<VM>${renderHead(core.accounts, vm)}${renderPermissions(vm)}${renderLock(vm.lock)}`,
    element('LAST_POLL', 0),
    `${element('STATE', vm.state)}${element('LCM_STATE', vm.lcm)}`,
    `${element('PREV_STATE', vm.state)}${element('PREV_LCM_STATE', vm.lcm)}`,
    `${element('RESCHED', vm.resched)}${element('STIME', vm.stime)}${element('ETIME', vm.etime)}`,
    element('DEPLOY_ID', vm.deployId),
    '<MONITORING></MONITORING><SCHED_ACTIONS></SCHED_ACTIONS>',
    renderTemplate(vm.template),
    renderTemplate(vm.userTemplate, 'USER_TEMPLATE'),
    renderRecords(records.map(record => renderRecord(vm, record)).join('')),
    '<BACKUPS><BACKUP_CONFIG/><BACKUP_IDS></BACKUP_IDS></BACKUPS></VM>',
  ].join('');
}

function renderShown(name: string, pairs: Pairs): string {
  const parts = (shown[name] ?? []).flatMap(key => {
    const value = pairs[key];
    return value === undefined ? [] : `<${key}>${cdata(value)}</${key}>`;
  });
  return `<${name}>${parts.join('')}</${name}>`;
}

function renderShortTemplate(template: Template): string {
  const plain = ['CPU', 'MEMORY', 'VCPU'].map(name => element(name, single(template, name) ?? ''));
  const parts = Object.keys(shown).flatMap(name => vectors(template, name).map(pairs => renderShown(name, pairs)));
  return `<TEMPLATE>${plain.join('')}${parts.join('')}</TEMPLATE>`;
}

function renderShortRecord(vm: Vm, record: HistoryRecord): string {
  return [
    `<HISTORY>${element('OID', vm.id)}${element('SEQ', record.seq)}<HOSTNAME>${cdata(record.hostName)}</HOSTNAME>`,
    `${element('HID', record.hostId)}${element('CID', 0)}${element('DS_ID', record.datastoreId)}`,
    `<VM_MAD>${cdata(record.vmMad)}</VM_MAD><TM_MAD>${cdata(record.tmMad)}</TM_MAD>`,
    `<ACTION>${cdata(String(record.action))}</ACTION></HISTORY>`,
  ].join('');
}

/** A VM cut down, as `one.vmpool.info` gives it: no permissions, hardly any template. */
export function renderShortVm(core: Core, vm: Vm): string {
  const last = vm.history.at(-1);
  return [
    `<VM>${renderHead(core.accounts, vm)}${element('LAST_POLL', 0)}`,
    `${element('STATE', vm.state)}${element('LCM_STATE', vm.lcm)}${element('RESCHED', vm.resched)}`,
    `${element('STIME', vm.stime)}${element('ETIME', vm.etime)}${element('DEPLOY_ID', vm.deployId)}`,
    renderShortTemplate(vm.template),
    '<MONITORING/><USER_TEMPLATE></USER_TEMPLATE>',
    `${renderRecords(last ? renderShortRecord(vm, last) : '')}</VM>`,
  ].join('');
}
