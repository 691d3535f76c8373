/** A recorded exchange that no replay covers, and why. */
export interface Uncovered {
  area: string;
  stem: string;
  reason: string;
}

const configuration = "The configuration served is this cloud's own, not that of the recorded host.";
const loads = 'The embedded cloud takes no measurements of CPU, memory and traffic.';
const accounting = 'Accounting is not served.';
const oneflowDocuments = 'Shows documents that OneFlow wrote; the replay of oneflow/ makes and reads them.';

/** Every recorded exchange with oned (xmlrpc, http, the XML-RPC part of cli) that is not replayed. */
export const coverage: readonly Uncovered[] = [
  { area: 'xmlrpc', stem: '004-system-config', reason: configuration },
  {
    area: 'xmlrpc',
    stem: '005-system-listMethods',
    reason: 'Lists the methods that are served, not all 307 of the recorded server.',
  },
  { area: 'xmlrpc', stem: '007-system-methodHelp', reason: "The help texts are this cloud's own." },
  {
    area: 'xmlrpc',
    stem: '104-vm-info-after-many-puts',
    reason: 'Shows what 108 writes through OneGate left; the replay of onegate/ makes and reads them.',
  },
  { area: 'xmlrpc', stem: '152-vm-monitoring', reason: loads },
  { area: 'xmlrpc', stem: '153-vmpool-monitoring', reason: loads },
  { area: 'xmlrpc', stem: '154-vmpool-accounting', reason: accounting },
  { area: 'xmlrpc', stem: '218-documentpool-services', reason: oneflowDocuments },
  { area: 'xmlrpc', stem: '219-document-service', reason: oneflowDocuments },
  { area: 'xmlrpc', stem: '220-documentpool-service-templates', reason: oneflowDocuments },
  {
    area: 'xmlrpc',
    stem: '251-vm-info-with-nonbmp',
    reason: 'The character came in through gRPC, which is not served; XML-RPC lets none in.',
  },
  { area: 'cli', stem: '027-oneuser-show--one-system-config', reason: configuration },
];

/** Elements that are taken out of both sides before they are compared. */
export interface Cut {
  elements: readonly string[];
  reason: string;
  /** Only in these exchanges; in all, when absent. */
  stems?: readonly string[];
}

/** What the replay of the calls to oned does not compare. Ids, names, order and all other values are compared. */
export const cuts: readonly Cut[] = [
  { elements: ['MONITORING', 'LAST_POLL'], reason: loads },
  {
    elements: [
      'PCI_DEVICES',
      'NUMA_NODES',
      'KVM_CPU_FEATURES',
      'KVM_CPU_MODELS',
      'MEMORY_ENCRYPTION',
      'MODELNAME',
      'USED_DISK',
    ],
    reason: 'The hardware of the recorded host is an invention of its dummy driver.',
  },
  {
    elements: ['TOTAL_MB', 'FREE_MB', 'USED_MB'],
    reason: 'The recorded sizes of datastores are those of that machine, or chance.',
  },
  { elements: ['ENDPOINT_GRPC'], reason: 'gRPC is not served.' },
  {
    elements: ['DESCRIPTION'],
    stems: ['026-vdcpool-info', '028-secgrouppool-info'],
    reason: "The descriptions of the objects of a fresh installation are this cloud's own words.",
  },
];
