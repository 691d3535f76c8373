import { isOneFlowerError } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { checkContext, type GuestContext, oneGateAccess } from './context.ts';

function check(values: Record<string, string>, token?: string): GuestContext {
  return checkContext({ values: new Map(Object.entries(values)), token });
}

function problemsOf(values: Record<string, string>): string {
  try {
    check(values);
  } catch (error) {
    if (isOneFlowerError(error) && error.code === 'config_validation_failed') return error.message;
    throw error;
  }
  return '';
}

describe('checkContext', () => {
  it('boots with nothing but a role', () => {
    const context = check({ FL_ROLE: 'superlink' });
    expect(context.settings.FL_NUM_ROUNDS).toBe(3);
    expect(context.settings.FL_TLS_ENABLED).toBe(true);
    expect(context).toMatchObject({ role: 'superlink', vmId: null, oneGate: undefined, nicAddress: undefined });
  });

  it.each([{}, { FL_ROLE: '' }, { FL_ROLE: 'supervisor' }])('refuses the role of %j', values => {
    expect(problemsOf(values)).toMatch(/FL_ROLE .*it must be superlink or supernode/);
  });

  it('reports all that is wrong together, each with value and rule', () => {
    const said = problemsOf({
      FL_ROLE: 'superlink',
      FL_NUM_ROUNDS: '0',
      FL_LOG_LEVEL: 'LOUD',
      FL_FLEET_API_ADDRESS: '10.0.0.1',
    });
    expect(said.split('\n')).toHaveLength(3);
    expect(said).toContain('FL_NUM_ROUNDS="0" is refused: it must be a whole number');
    expect(said).toContain('FL_LOG_LEVEL="LOUD"');
    expect(said).toContain('FL_FLEET_API_ADDRESS="10.0.0.1"');
  });

  it.each(['a"b', '$(id)', 'x\ny', '%s', 'a\0b', 'x'.repeat(10_000_000)])(
    'refuses a hostile value without repeating all of it',
    value => {
      const said = problemsOf({ FL_ROLE: 'superlink', FL_NUM_ROUNDS: value });
      expect(said).toContain('FL_NUM_ROUNDS');
      expect(said.length).toBeLessThan(400);
    },
  );

  it('never shows a secret', () => {
    expect(problemsOf({ FL_ROLE: 'supernode', FL_JOIN_TOKEN: 'short!' })).not.toContain('short!');
  });

  it('warns of names that nobody knows, with the nearest one', () => {
    const { warnings } = check({ FL_ROLE: 'superlink', FL_NUM_ROUND: '5' });
    expect(warnings).toContain('FL_NUM_ROUND is no variable of OneFlower; is FL_NUM_ROUNDS meant?');
    expect(warnings.join()).not.toContain('FL_ROLE');
  });

  it('takes the address of the first interface that has one, where NETWORK is YES', () => {
    const values = { FL_ROLE: 'supernode', ETH10_IP: '10.0.0.10', ETH0_IP: '', ETH2_IP: '10.0.0.2' };
    expect(check({ ...values, NETWORK: 'YES' }).nicAddress).toBe('10.0.0.2');
    expect(check(values).nicAddress).toBeUndefined();
  });

  it('keeps the references that OneFlow has resolved', () => {
    const { references } = check({
      FL_ROLE: 'supernode',
      SUPERLINK_ENDPOINT: '10.0.0.5:9092',
      SUPERLINK_CA_CERT: '',
      SUPERLINK_TLS: '${superlink.user_template.fl_tls}',
    });
    expect(references).toEqual({ SUPERLINK_ENDPOINT: '10.0.0.5:9092' });
  });
});

describe('oneGateAccess', () => {
  const whole = { TOKEN: 'YES', ONEGATE_ENDPOINT: 'http://169.254.16.9:5030', VMID: '46' };

  it('needs TOKEN=YES, endpoint, id and token', () => {
    expect(oneGateAccess(new Map(Object.entries(whole)), 'abc')).toEqual({
      endpoint: 'http://169.254.16.9:5030',
      vmId: 46,
      token: 'abc',
    });
    expect(oneGateAccess(new Map(Object.entries(whole)), undefined)).toBeUndefined();
    for (const name of Object.keys(whole)) {
      const values = new Map(Object.entries({ ...whole, [name]: '' }));
      expect(oneGateAccess(values, 'abc')).toBeUndefined();
    }
    const strange = new Map(Object.entries({ ...whole, ONEGATE_ENDPOINT: 'file:///etc/passwd' }));
    expect(oneGateAccess(strange, 'abc')).toBeUndefined();
  });
});
