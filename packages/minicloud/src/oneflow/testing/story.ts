import { recordedJson } from '../../testing/recordings.ts';
import { type JsonObject, objectAt } from '../json.ts';
import type { Bench } from './bench.ts';
import type { DummyCloud } from './dummy-cloud.ts';

type StoryBench = Bench<DummyCloud>;

/** What happened in the cloud, unrecorded, before an exchange: VMs came up, wrote READY, were powered off … */
export type Happening = (bench: StoryBench) => void | Promise<void>;

function ready(...ids: number[]): Happening {
  return ({ cloud }) => {
    for (const id of ids) cloud.update(id, 'READY=YES');
  };
}

function publish(text: string, ...ids: number[]): Happening {
  return ({ cloud }) => {
    for (const id of ids) cloud.update(id, text);
  };
}

function all(...happenings: Happening[]): Happening {
  return async bench => {
    for (const happening of happenings) await happening(bench);
  };
}

function scale(service: number, cardinality: number): Happening {
  return bench => {
    bench.ask('POST', `/service/${service}/scale`, { role_name: 'supernode', cardinality, force: false });
  };
}

function instantiate(template: number, name?: string): Happening {
  return bench => {
    const params = name === undefined ? {} : { merge_template: { name } };
    bench.ask('POST', `/service_template/${template}/action`, { action: { perform: 'instantiate', params } });
  };
}

function remove(...services: number[]): Happening {
  return async bench => {
    for (const id of services) {
      bench.ask('POST', `/service/${id}/action`, { action: { perform: 'recover', params: { delete: true } } });
    }
    await bench.clock.advance(0);
  };
}

/** The 60 expressions of the recording were posted here, which used up document ids, and deleted again. */
function postExpressions(bench: StoryBench): void {
  const role = { name: 'supernode', type: 'vm', cardinality: 2, template_id: 3, min_vms: 1, max_vms: 4 };
  for (const { expression, status } of recordedJson<{ expression: string; status: number }[]>(
    'oneflow/elasticity-expressions.json',
  )) {
    const policy = { type: 'CHANGE', adjust: 1, expression };
    const answer = bench.ask('POST', '/service_template', {
      name: 'x',
      roles: [{ ...role, elasticity_policies: [policy] }],
    });
    if (answer.status !== status) throw new Error(`${expression}: ${answer.status} ${answer.body}`);
    if (status === 201) bench.ask('DELETE', `/service_template/${objectAt(answer.json(), 'DOCUMENT').ID}`);
  }
}

function burnDocuments(bench: StoryBench): void {
  for (let id = 0; id < 9; id++) {
    bench.core.call('oneadmin:throwaway-admin-1', 'one.document.allocate', `NAME="burnt"`, 200);
    bench.core.call('oneadmin:throwaway-admin-1', 'one.document.delete', id);
  }
}

/** What the monitoring of the two VMs showed. */
function monitor(values: Record<string, string[]>, ...ids: number[]): Happening {
  return ({ cloud }) => {
    ids.forEach((id, index) => {
      const texts = Object.entries(values).map(([name, both]) => [name, both[index] ?? '']);
      cloud.monitor(id, Object.fromEntries(texts));
    });
  };
}

function evaluationAttributes(first: number, second: number): Happening {
  return all(
    publish('FL_LOAD=95\nFL_TXT=abc\nFL_PART=5\nFL_THIRD=0\nFL_NEG=-3\nFL_SCI=1e3\nFL_PCT=50%', first),
    publish('FL_LOAD=85\nFL_TXT=def\nFL_THIRD=0.6667\nFL_NEG=-2\nFL_SCI=1e3\nFL_PCT=40%', second),
  );
}

function inCloud(change: (cloud: DummyCloud) => void): Happening {
  return ({ cloud }) => change(cloud);
}

const poweroff = (id: number) => inCloud(cloud => cloud.poweroff(id));
const resume = (id: number) => inCloud(cloud => cloud.resume(id));
const slow = inCloud(cloud => {
  cloud.wishes.slowShutdowns = true;
});
const quick = inCloud(cloud => {
  cloud.wishes.slowShutdowns = false;
});
const end = (...ids: number[]) => inCloud(cloud => ids.forEach(id => void cloud.end(id)));

async function pause(bench: StoryBench): Promise<void> {
  await bench.clock.advance(500);
}

/** Longer than a VM takes to boot. */
async function awaitBoots(bench: StoryBench): Promise<void> {
  await bench.clock.advance(3500);
}

/** Keyed by the number of the exchange before which it happened; `cli` numbers have that prefix. */
export const story: Readonly<Record<string, Happening>> = {
  '001': all(
    burnDocuments,
    inCloud(cloud => {
      cloud.setNextVmId(4);
    }),
  ),
  '044': postExpressions,
  '067': ready(4),
  '068': ready(5, 6),
  '085': ready(7),
  '092': scale(53, 3),
  '093': ready(8),
  '096': all(slow, scale(53, 2)),
  '097': all(end(6), quick),
  '099': poweroff(7),
  '102': all(resume(7), pause),
  '122': publish('FL_LOAD=90', 7, 8),
  '123': ready(9),
  '124': publish('FL_LOAD=5', 7, 8, 9),
  '187': end(8),
  '189': poweroff(9),
  '191': resume(9),
  '192': inCloud(cloud => {
    cloud.wishes.failBoots = true;
  }),
  '197': inCloud(cloud => {
    cloud.wishes.failBoots = false;
  }),
  '199': ready(15),
  '207': ready(16),
  '208': ready(17, 18),
  '209': slow,
  '211': all(
    quick,
    inCloud(cloud => {
      cloud.wishes.failBoots = true;
    }),
  ),
  '217': inCloud(cloud => {
    cloud.wishes.failBoots = false;
  }),
  '219': all(awaitBoots, ready(19)),
  '220': all(awaitBoots, ready(20, 21)),
  '221': inCloud(cloud => {
    cloud.wishes.refuseShutdowns = true;
  }),
  '224': inCloud(cloud => {
    cloud.wishes.refuseShutdowns = false;
  }),
  '227': instantiate(68, 'fl-ready'),
  '229': all(publish('FL_READY=YES', 22), instantiate(68, 'not-ready')),
  '230': all(publish('NOT_READY=YES', 23), instantiate(68, 'yessir')),
  '231': all(publish('READY=YESSIR', 24), instantiate(68, 'lower')),
  '233': all(publish('READY=yes', 25), instantiate(68, 'lowerkey')),
  '234': all(publish('ready=YES', 26), instantiate(68, 'true')),
  '235': all(publish('READY=true', 27), instantiate(68, 'multi')),
  '236': all(publish('X=1\nREADY=YES\nY=2', 28), instantiate(68, 'blank')),
  '237': all(publish('READY = YES', 29), instantiate(68, 'xml')),
  cli046: all(
    pause,
    remove(69, 70, 71, 72, 73, 74, 75, 76, 77),
    inCloud(cloud => {
      cloud.setNextVmId(34);
    }),
  ),
  cli081: scale(79, 1),
  '239': inCloud(cloud => {
    cloud.setNextVmId(41);
  }),
  '255': slow,
  '257': all(end(42), quick, pause),
  '272': all(bench => {
    const body = { name: 'restart', deployment: 'straight', ready_status_gate: true };
    const roles = [{ name: 'a', type: 'vm', cardinality: 1, template_id: 2 }];
    bench.ask('POST', '/service_template', { ...body, roles });
  }, instantiate(90)),
  '274': all(
    pause,
    bench => bench.kill(),
    ready(45),
    bench => bench.start(),
  ),
  '276': inCloud(cloud => {
    cloud.down = true;
  }),
  '278': inCloud(cloud => {
    cloud.down = false;
  }),
  '279': slow,
  '281': all(end(45), quick, pause),
  '282': instantiate(92),
  '283': instantiate(94),
  '284': instantiate(96),
  '285': instantiate(98),
  '290': all(publish('FL_LOAD=100', 51, 52, 53), end(49)),
  '292': publish('FL_LOAD=1', 51, 52, 53, 54, 55),
  '295': all(
    evaluationAttributes(46, 47),
    monitor(
      {
        CPU: ['0', '0.0'],
        MEMORY: ['456130', '456130'],
        NETRX: ['5075', '5075'],
        NETTX: ['4900', '4900'],
        DISKRDBYTES: ['458', '459'],
      },
      46,
      47,
    ),
  ),
  '300': all(
    inCloud(cloud => {
      cloud.setNextVmId(59);
    }),
    instantiate(100),
  ),
  '303': all(
    evaluationAttributes(59, 60),
    monitor(
      {
        CPU: ['0', '0.0'],
        MEMORY: ['416808', '416809'],
        NETRX: ['5258', '5258'],
        NETTX: ['5108', '5108'],
        DISKRDBYTES: ['409', '410'],
      },
      59,
      60,
    ),
  ),
};

/** The body of a service as the bench serves it now. */
export function serviceBody(bench: StoryBench, id: string): JsonObject {
  const answer = bench.ask('GET', `/service/${id}`);
  if (answer.status !== 200) return {};
  return objectAt(objectAt(objectAt(answer.json(), 'DOCUMENT'), 'TEMPLATE'), 'BODY');
}
