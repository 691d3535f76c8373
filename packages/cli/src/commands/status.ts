import type { Progress, ServiceStatus } from '@oneflower/control';
import { openCloud } from '../command/access.ts';
import type { CommandSpec } from '../command/spec.ts';
import { reportProgress } from '../output/report-progress.ts';
import { renderTable } from '../output/table.ts';
import { formatMetrics, safe } from '../output/text.ts';

export const status: CommandSpec = {
  name: 'status',
  summary: 'Show services, their VMs and nodes, and the run that is under way',
  arguments: [{ name: '[name]', help: 'name or number of a service (default: all)' }],
  cloud: true,
  examples: ['oneflower status', 'oneflower status sensors --json'],
  async run(input) {
    const { homeFolder, readStatus } = await import('@oneflower/control');
    const {
      context,
      reporter,
      arguments: [name],
    } = input;
    const place = {
      cloud: await openCloud(input),
      home: homeFolder(context.environment),
      signal: context.signal,
      notify: (progress: Progress) => reportProgress(reporter, progress),
    };
    const services = await readStatus(place, name);
    const text =
      services.length === 0
        ? 'There is no Flower service. Deploy one with oneflower deploy.\n'
        : services.map(renderService).join('\n');
    return { document: { services }, text };
  },
};

function renderService(service: ServiceStatus): string {
  const limits = service.roles.find(role => role.name === 'supernode');
  const nodes = limits ? `, SuperNodes ${limits.cardinality} (${limits.min ?? '-'} to ${limits.max ?? '-'})` : '';
  const parts = [`${service.name} (${service.id}): ${service.state}${nodes}`, renderVms(service)];
  const { flower } = service;
  if (flower) {
    parts.push(`Flower ${flower.flowerVersion}, TLS ${flower.tls ? 'on' : 'off'}, use case ${flower.useCase}`);
    if (flower.waitingFor !== null) parts.push(`Waiting for: ${flower.waitingFor}`);
    if (flower.run) {
      const { runId, status: state, round, rounds, metrics, details } = flower.run;
      const told = formatMetrics(metrics);
      parts.push(`Run ${runId}: ${state}, round ${round} of ${rounds ?? '?'}${told === '' ? '' : ` (${told})`}`);
      if (state === 'failed' && details !== flower.waitingFor) parts.push(details);
    }
  } else if (service.flowerUnknown !== null) {
    parts.push(`SuperLink not asked: ${service.flowerUnknown}`);
  }
  if (service.state !== 'RUNNING' && service.lastLog !== null) parts.push(`OneFlow: ${service.lastLog}`);
  return `${safe(parts.filter(Boolean).join('\n'))}\n`;
}

function renderVms({ vms, flower }: ServiceStatus): string {
  if (vms.length === 0) return '';
  const nodes = new Map(flower?.nodes.map(node => [node.vmId, node]));
  const rows = vms.map(vm => {
    const node = nodes.get(vm.id);
    const online = node ? (node.online ? 'online' : node.phase) : '-';
    const partition = vm.partitionId === null ? '-' : String(vm.partitionId);
    const note = vm.error ? `${vm.error.code}: ${vm.error.text}` : (vm.waitingFor ?? '');
    return [String(vm.id), vm.name, vm.state, vm.ip ?? '-', vm.ready ? 'yes' : 'no', online, partition, note];
  });
  return renderTable(['VM', 'NAME', 'STATE', 'IP', 'READY', 'NODE', 'PARTITION', ''], rows);
}
