import { describe, expect, it } from 'vitest';
import { objectAt } from '../json.ts';
import { bench, launch, roleOf, settle, stateOf, template, vmIds } from '../testing/service.ts';

describe('deploying', () => {
  it('makes the children only when the parent runs', async () => {
    const on = bench();
    const id = await launch(on, template());
    expect(stateOf(on, id)).toBe('DEPLOYING');
    expect([vmIds(on, id, 'superlink'), vmIds(on, id)]).toEqual([[0], []]);
    on.cloud.run(0);
    await settle(on);
    expect(vmIds(on, id)).toEqual([1, 2]);
    on.cloud.run(1);
    await settle(on);
    expect(stateOf(on, id)).toBe('DEPLOYING');
    on.cloud.run(2);
    await settle(on);
    expect(stateOf(on, id)).toBe('RUNNING');
  });

  it('makes all roles at once without straight', async () => {
    const on = bench();
    const id = await launch(on, template({ deployment: 'none' }));
    expect([vmIds(on, id, 'superlink'), vmIds(on, id)]).toEqual([[0], [1, 2]]);
  });

  it.each([
    ['READY=YES', 0],
    ['FL_READY=YES', 0],
    ['NOT_READY="YES"', 0],
    ['READY=YESSIR', 0],
    ['X=1\nREADY = YES\nY=2', 0],
    ['ready=YES', 30_000],
    ['<TEMPLATE><READY>YES</READY></TEMPLATE>', 30_000],
    ['READY=yes', Number.POSITIVE_INFINITY],
    ['READY=true', Number.POSITIVE_INFINITY],
  ])('opens the readiness gate for %j after %d ms', async (text, delay) => {
    const on = bench();
    const id = await launch(on, template({ ready_status_gate: true }));
    on.cloud.run(0);
    on.cloud.update(0, text);
    await settle(on);
    expect(vmIds(on, id).length).toBe(delay === 0 ? 2 : 0);
    await on.clock.advance(30_000);
    expect(vmIds(on, id).length).toBe(delay <= 30_000 ? 2 : 0);
  });

  it('notices a failed boot at the re-check and goes on after recover', async () => {
    const on = bench({ bootMs: 1000 });
    on.cloud.failBoots = true;
    const id = await launch(on, template());
    await on.clock.advance(20_000);
    expect(stateOf(on, id)).toBe('DEPLOYING');
    await on.clock.advance(11_000);
    expect(stateOf(on, id)).toBe('FAILED_DEPLOYING');
    expect(on.ask('DELETE', `/service/${id}`).status).toBe(500);
    on.cloud.failBoots = false;
    expect(on.ask('POST', `/service/${id}/action`, { action: { perform: 'recover' } }).status).toBe(204);
    expect(stateOf(on, id)).toBe('FAILED_DEPLOYING');
    await on.clock.advance(3000);
    expect(stateOf(on, id)).toBe('RUNNING');
  });

  it('counts a VM that somebody stopped as ready', async () => {
    const on = bench();
    const id = await launch(on, template({ ready_status_gate: true }));
    on.cloud.move(0, 5);
    await on.clock.advance(30_000);
    expect(vmIds(on, id)).toEqual([1, 2]);
  });

  it('resolves references to the parent and blanks all others', async () => {
    const contents = {
      ADDRESS: '${superlink.user_template.fl_endpoint}',
      OTHER: 'a${HOME}b${nosuch.id}c',
      CONTEXT: { IP: '${superlink.template.nic.ip}', TOKEN: 'YES' },
    };
    const on = bench();
    await launch(on, template({}, { template_contents: contents }));
    on.cloud.update(0, 'FL_ENDPOINT="10.20.0.77:9092"');
    on.cloud.run(0);
    await settle(on);
    const { extra } = on.cloud.vm(1);
    expect(extra).toContain('ADDRESS = "10.20.0.77:9092"');
    expect(extra).toContain('OTHER = "abc"');
    expect(extra).toContain('CONTEXT = [ IP = "10.20.0.0", TOKEN = "YES" ]');
    expect(extra).toContain('SERVICE_ID = ');
    expect(extra).toContain('ROLE_NAME = "supernode"');
  });

  it('lets the value of a role beat that of the service', async () => {
    const body = template({ user_inputs: { A: 'O|text|x', B: 'O|text|x' } }, { user_inputs: { A: 'O|text|x' } });
    const on = bench();
    const roles = [{ name: 'supernode', user_inputs_values: { A: '3' } }];
    const id = await launch(on, body, { user_inputs_values: { A: '1', B: '2' }, roles });
    expect(objectAt(roleOf(on, id, 'superlink'), 'template_contents')).toEqual({
      CONTEXT: { A: '$A', B: '$B' },
      A: '1',
      B: '2',
    });
    expect(objectAt(roleOf(on, id), 'template_contents')).toMatchObject({ A: '3', B: '2' });
  });

  it('refuses to instantiate with an input that has no value, default or not', () => {
    const on = bench();
    const made = on.ask('POST', '/service_template', template({}, { user_inputs: { A: 'O|text|x||default' } }));
    const path = `/service_template/${objectAt(made.json(), 'DOCUMENT').ID}/action`;
    expect(on.ask('POST', path, { action: { perform: 'instantiate' } }).status).toBe(400);
  });
});
