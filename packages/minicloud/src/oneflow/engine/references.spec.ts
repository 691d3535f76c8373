import { describe, expect, it } from 'vitest';
import { recordedJson } from '../../testing/recordings.ts';
import { type JsonObject, objectAt } from '../json.ts';
import { admin, createDummyBench, sessionText } from '../testing/bench.ts';
import { readXml, textOf } from '../wire.ts';

interface Recorded {
  child_role_template_contents: JsonObject;
  parent_published_over_onegate: string[];
  child_user_template: Record<string, string>;
}

describe('a child role', () => {
  it('gets what its parent published, and the values of user inputs, in its VM and CONTEXT', async () => {
    const recorded = recordedJson<Recorded>('oneflow/parent-references.json');
    const contents = objectAt({ ...recorded }, 'child_role_template_contents');
    const nic = { NIC: [{ NETWORK_ID: '$Private' }] };
    const on = await createDummyBench({ delayMs: 50 });
    on.ask('POST', '/service_template', {
      name: 'x',
      deployment: 'straight',
      ready_status_gate: true,
      user_inputs: { FL_NUM_ROUNDS: 'O|number|Rounds||3' },
      networks: { Private: 'M|network|Private| |id:1' },
      roles: [
        { name: 'superlink', type: 'vm', template_id: 2, cardinality: 1, template_contents: nic },
        {
          name: 'supernode',
          type: 'vm',
          template_id: 3,
          cardinality: 1,
          parents: ['superlink'],
          template_contents: contents,
        },
      ],
    });
    const merge = { user_inputs_values: { FL_NUM_ROUNDS: '5' } };
    const action = { perform: 'instantiate', params: { merge_template: merge } };
    on.ask('POST', '/service_template/0/action', { action });
    await on.clock.advance(500);
    const certificate = 'Q0E='.repeat(500);
    const published = [...recorded.parent_published_over_onegate.filter(line => !line.startsWith('FL_CA_CERT'))];
    on.cloud.update(0, `FL_CA_CERT="${certificate}"\n${published.join('\n')}`);
    await on.clock.advance(500);
    const answer = on.core.call(sessionText(admin), 'one.vm.info', 1, false);
    const vm = readXml(answer.ok ? String(answer.value) : '');
    const context = objectAt(objectAt(vm, 'TEMPLATE'), 'CONTEXT');
    const parentAnswer = on.core.call(sessionText(admin), 'one.vm.info', 0, false);
    const parent = readXml(parentAnswer.ok ? String(parentAnswer.value) : '');
    const address = textOf(objectAt(objectAt(parent, 'TEMPLATE'), 'NIC').IP);
    expect(address).toMatch(/^10\.20\.0\./);
    expect(context).toMatchObject({
      FL_SUPERLINK_ADDRESS: recorded.child_user_template.FL_SUPERLINK_ADDRESS,
      FL_CA: certificate,
      SLIP: address,
      FL_NUM_ROUNDS: '5',
    });
    expect(objectAt(vm, 'USER_TEMPLATE')).toMatchObject({
      FL_SUPERLINK_ADDRESS: recorded.child_user_template.FL_SUPERLINK_ADDRESS,
      SL_IP: address,
      SERVICE_ID: '1',
      ROLE_NAME: 'supernode',
    });
    await on.close();
  });

  it('gets values of inputs whole, whatever is in them', async () => {
    const hostile = "a\"b\n$(x) %s, [c] <&> 'd' = \\n ${HOME} größer";
    const on = await createDummyBench({ delayMs: 50 });
    on.ask('POST', '/service_template', {
      name: 'x',
      user_inputs: { FL_NODE_CONFIG: 'O|text|Config' },
      roles: [{ name: 'a', type: 'vm', template_id: 2, cardinality: 1 }],
    });
    const merge = { user_inputs_values: { FL_NODE_CONFIG: hostile } };
    on.ask('POST', '/service_template/0/action', {
      action: { perform: 'instantiate', params: { merge_template: merge } },
    });
    await on.clock.advance(500);
    const answer = on.core.call(sessionText(admin), 'one.vm.info', 0, false);
    const context = objectAt(objectAt(readXml(answer.ok ? String(answer.value) : ''), 'TEMPLATE'), 'CONTEXT');
    // A reference that names no parent role is blanked, shell variables too.
    expect(context.FL_NODE_CONFIG).toBe(hostile.replace('${HOME}', ''));
    await on.close();
  });
});
