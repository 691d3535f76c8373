import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cloudFiles, startDaemon, stopDaemon } from '../../packages/minicloud/src/index.ts';
import { createOnedClient, createOneflowClient, type OneflowClient } from '../../packages/opennebula/src/index.ts';
import { memoryOf, Scene, until } from './scene.ts';
import { round } from './timing.ts';
import type { Bench, Figure } from './types.ts';

const few = 100;
const many = 1000;
const role = 'supernode';

/** How the embedded cloud takes a large service: its cost grows with the number of VMs, not faster. */
export const cloud: Bench = {
  what: `an embedded cloud (dummy driver) deploys, scales and deletes a service of ${few} and of ${many} VMs`,
  async run() {
    const small = await Scene.play(scene => lifeOf(scene, few));
    const large = await Scene.play(scene => lifeOf(scene, many));
    const growth = round((large.deploy + large.scale + large.remove) / (small.deploy + small.scale + small.remove), 1);
    return [
      ...figuresOf(few, small),
      ...figuresOf(many, large),
      {
        name: `${many} VMs, in all`,
        value: round(large.deploy + large.scale + large.remove),
        unit: 's',
        goal: 'at most 30 s',
      },
      { name: `time for ${many} beside ${few} VMs`, value: growth, unit: 'times', goal: `linear: about ${many / few}` },
    ];
  },
};

interface Life {
  deploy: number;
  scale: number;
  remove: number;
  megabytes: number;
}

/** One service from nothing to nothing, in a cloud of its own: nine tenths are deployed, the rest is scaled up to. */
async function lifeOf(scene: Scene, vms: number): Promise<Life> {
  const directory = join(scene.folder, 'cloud');
  scene.atEnd(() => stopDaemon({ directory }));
  const { pid, endpoints } = await startDaemon({ directory, driver: 'dummy' });
  const session = (await readFile(cloudFiles(directory).auth, 'utf8')).trim();
  const oned = createOnedClient({ endpoint: endpoints.xmlrpc, session });
  const flow = createOneflowClient({ url: endpoints.oneflow, session, timeoutMs: 120_000 });
  const template = await oned.templates.create({ NAME: 'small', CPU: '0.01', VCPU: '1', MEMORY: '16' });
  const service = await flow.templates.create({
    name: 'many',
    deployment: 'straight',
    roles: [{ name: role, type: 'vm', template_id: template, cardinality: vms * 0.9, cooldown: 0 }],
  });
  const began = performance.now();
  const { id } = await flow.templates.instantiate(service.id);
  await until(() => isRunningWith(flow, id, vms * 0.9));
  const deployed = performance.now();
  await flow.services.scale(id, role, vms);
  await until(() => isRunningWith(flow, id, vms));
  const scaled = performance.now();
  await flow.services.delete(id);
  await until(async () => (await oned.vms.list()).length === 0 && (await isGone(flow, id)));
  const removed = performance.now();
  return {
    ...{ deploy: (deployed - began) / 1000, scale: (scaled - deployed) / 1000, remove: (removed - scaled) / 1000 },
    megabytes: await memoryOf(pid, 'VmHWM'),
  };
}

async function isRunningWith(flow: OneflowClient, id: number, vms: number): Promise<boolean> {
  const { state, roles } = await flow.services.get(id);
  if (state.startsWith('FAILED')) throw new Error(`The service is ${state}`);
  return state === 'RUNNING' && roles[0]?.nodes.length === vms;
}

async function isGone(flow: OneflowClient, id: number): Promise<boolean> {
  const service = (await flow.services.list()).find(each => each.id === id);
  return service === undefined || service.state === 'DONE';
}

function figuresOf(vms: number, life: Life): Figure[] {
  return [
    { name: `${vms} VMs, deploy ${vms * 0.9}`, value: round(life.deploy), unit: 's' },
    { name: `${vms} VMs, scale up to ${vms}`, value: round(life.scale), unit: 's' },
    { name: `${vms} VMs, delete`, value: round(life.remove), unit: 's' },
    { name: `${vms} VMs, most memory of the cloud`, value: round(life.megabytes, 1), unit: 'MB' },
  ];
}
