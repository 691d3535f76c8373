import { rootCertificates } from 'node:tls';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeProblem, unknownVariables, validate } from './validate.ts';

const pem = `${rootCertificates[0]}\n`;
const unreadable = '-----BEGIN CERTIFICATE-----\nTUlJQg==\n-----END CERTIFICATE-----\n';

function refusals(given: Record<string, string>, role?: 'superlink' | 'supernode'): string[] {
  return validate(given, role).problems.map(describeProblem);
}

describe('validate', () => {
  it('takes every default when nothing is given', () => {
    const { settings, problems, warnings } = validate({});
    expect(problems).toEqual([]);
    expect(warnings).toEqual([]);
    expect(settings).toMatchObject({
      FL_NUM_ROUNDS: 3,
      FL_TLS_ENABLED: true,
      FL_USE_CASE: 'none',
      FL_FLEET_API_ADDRESS: '0.0.0.0:9092',
    });
  });

  it('takes empty and blank values as absent', () => {
    expect(validate({ FL_NUM_ROUNDS: '', FL_LOG_LEVEL: '  ' }).settings).toMatchObject({
      FL_NUM_ROUNDS: 3,
      FL_LOG_LEVEL: 'INFO',
    });
  });

  it('reports all that is wrong together, each with variable, value and rule', () => {
    expect(refusals({ FL_NUM_ROUNDS: '0', FL_LOG_LEVEL: 'LOUD', FL_TLS_ENABLED: 'perhaps' })).toEqual([
      'FL_NUM_ROUNDS="0" is refused: it must be a whole number from 1 to 10000.',
      'FL_LOG_LEVEL="LOUD" is refused: it must be one of DEBUG, INFO, WARNING, ERROR.',
      'FL_TLS_ENABLED="perhaps" is refused: it must be YES or NO.',
    ]);
  });

  it.each([
    ['FL_NUM_ROUNDS', '3.5'],
    ['FL_NUM_ROUNDS', '-1'],
    ['FL_NUM_ROUNDS', '10001'],
    ['FL_NUM_ROUNDS', '1e3'],
    ['FL_NUM_ROUNDS', '$(reboot)'],
    ['FLOWER_VERSION', '1.25.0'],
    ['FLOWER_VERSION', '1.41'],
    ['FLOWER_VERSION', '1.41.0; reboot'],
    ['FL_FLEET_API_ADDRESS', '9092'],
    ['FL_FLEET_API_ADDRESS', '0.0.0.0:0'],
    ['FL_FLEET_API_ADDRESS', '0.0.0.0:65536'],
    ['FL_FLEET_API_ADDRESS', '300.1.1.1:9092'],
    ['FL_SUPERLINK_ADDRESS', 'fd00::1:9092'],
    ['FL_DATABASE', '/etc/passwd'],
    ['FL_DATABASE', '../state.db'],
    ['FL_DATABASE', 'my.db'],
    ['FL_DATABASE', 'data.d/x.db'],
    ['FL_DATABASE', 'state/sub/x.db'],
    ['FL_DATABASE', 'state/flwr'],
    ['FL_DATABASE', 'state/../x.db'],
    ['FL_DATABASE', 'state/.db'],
    ['FL_DATABASE', 'state/a@b.db'],
    ['FL_DATABASE', "state/'; DROP"],
    ['READY_SCRIPT_PATH', 'relative/path'],
    ['FL_NODE_CONFIG', 'partition-id=0 junk'],
    ['FL_NODE_CONFIG', 'a=1 a=2'],
    ['FL_NODE_CONFIG', 'name="a\nb"'],
    ['FL_SSL_CA_CERTFILE', 'bm90IGEgY2VydGlmaWNhdGU='],
    ['FL_JOIN_TOKEN', 'short'],
    ['FL_OPERATOR_TOKEN_HASH', 'abc'],
    ['FL_SERVER_LR', '0'],
    ['FL_SERVER_LR', '100.1'],
    ['FL_SERVER_LR', 'NaN'],
    ['FL_SERVER_LR', '1e999'],
    ['FL_TRIM_BETA', '0.5'],
    ['FL_TRIM_BETA', '0'],
    ['FL_PROXIMAL_MU', '-0.1'],
    ['FL_CHECKPOINT_INTERVAL', '0'],
    ['FL_NUM_MALICIOUS', '-1'],
    ['FL_CHECKPOINT_PATH', 'relative/path'],
    ['FL_ROUND_TIMEOUT', '43201'],
    ['FL_LOG_LEVEL', 'INFO\0'],
    ['SSH_PUBLIC_KEY', 'ssh-ed25519 \x1b[31m'],
    ['FL_CERT_EXTRA_SAN', 'x'.repeat(70_000)],
  ])('refuses %s=%j', (name, value) => {
    expect(validate({ [name]: value }).problems.map(problem => problem.variable)).toContain(name);
  });

  it.each([
    ['FL_FLEET_API_ADDRESS', '[::]:9092', '[::]:9092'],
    ['FL_SUPERLINK_ADDRESS', 'flower.example.org:443', 'flower.example.org:443'],
    ['FL_TLS_ENABLED', 'no', false],
    ['FL_NODE_CONFIG', 'name="a b" partition-id=0', 'name="a b" partition-id=0'],
    ['FL_DATABASE', 'state/links-2.v1.db', 'state/links-2.v1.db'],
    ['FL_ROUND_TIMEOUT', '43200', 43_200],
    ['FL_MAX_RETRIES', '0', 0],
    ['FL_SERVER_LR', '1e-3', 0.001],
    ['FL_SERVER_LR', '5.', 5],
    ['FL_SERVER_LR', '100', 100],
    ['FL_TRIM_BETA', '.499', 0.499],
    ['FL_PROXIMAL_MU', '0', 0],
    ['FLOWER_VERSION', '1.39.0', '1.39.0'],
  ])('reads %s=%j', (name, value, expected) => {
    const { settings, problems } = validate({ [name]: value });
    expect(problems).toEqual([]);
    expect(settings[name as keyof typeof settings]).toEqual(expected);
  });

  it('accepts a certificate in PEM, in base64 of PEM and in base64 of that', () => {
    const once = Buffer.from(pem).toString('base64');
    const twice = Buffer.from(once).toString('base64');
    for (const value of [pem, once, twice])
      expect(validate({ FL_SSL_CA_CERTFILE: value }, 'supernode').settings.FL_SSL_CA_CERTFILE).toBe(pem);
  });

  it.each([
    ['alone', unreadable],
    ['after one that can be read', `${pem}${unreadable}`],
    ['cut off after one that can be read', `${pem}${pem.slice(0, 100)}`],
  ])('refuses what is marked as a certificate and is none: %s', (_, value) => {
    for (const said of [value, Buffer.from(value).toString('base64')])
      expect(validate({ FL_SSL_CA_CERTFILE: said }, 'supernode').problems).toMatchObject([
        { variable: 'FL_SSL_CA_CERTFILE', rule: 'be a certificate in PEM, or base64 of one' },
      ]);
  });

  it('wants the three certificate variables together', () => {
    expect(refusals({ FL_SSL_CA_CERTFILE: pem })).toEqual([
      'FL_SSL_CERTFILE must be given together with FL_SSL_CA_CERTFILE.',
      'FL_SSL_KEYFILE must be given together with FL_SSL_CA_CERTFILE.',
    ]);
    expect(refusals({ FL_SSL_CA_CERTFILE: pem }, 'supernode')).toEqual([]);
  });

  it('refuses the same port for SuperNodes and operators', () => {
    expect(refusals({ FL_CONTROL_API_ADDRESS: '0.0.0.0:9092' })).toEqual([
      'FL_CONTROL_API_ADDRESS="0.0.0.0:9092" is refused: it must name another port than FL_FLEET_API_ADDRESS, which is 0.0.0.0:9092.',
    ]);
  });

  it.each([
    ['FL_FLEET_API_ADDRESS', '0.0.0.0:8000', '1.41.0'],
    ['FL_CONTROL_API_ADDRESS', '0.0.0.0:8000', '1.41.0'],
    ['FL_FLEET_API_ADDRESS', '127.0.0.1:8000', '1.39.0'],
    ['FL_FLEET_API_ADDRESS', '[::]:8000', '1.41.0'],
    ['FL_FLEET_API_ADDRESS', '0.0.0.0:9091', '1.39.0'],
    ['FL_CONTROL_API_ADDRESS', 'localhost:9091', '1.39.0'],
  ])("refuses Flower's own port in %s=%s with Flower %s", (name, value, version) => {
    const port = value.split(':').at(-1);
    const rule = `name another port than ${port}, where Flower ${version} itself listens on loopback`;
    const given = { [name]: value, FLOWER_VERSION: version };
    expect(validate(given).problems).toEqual([{ variable: name, value, rule }]);
    expect(validate(given, 'supernode').problems).toEqual([]);
  });

  it.each([
    ['0.0.0.0:9091', '1.41.0'],
    ['10.0.0.5:8000', '1.41.0'],
    ['0.0.0.0:443', '1.39.0'],
  ])('takes %s with Flower %s, where nothing of Flower listens', (value, version) => {
    expect(validate({ FL_FLEET_API_ADDRESS: value, FLOWER_VERSION: version }).problems).toEqual([]);
  });

  it('never shows a secret', () => {
    expect(refusals({ FL_JOIN_TOKEN: 'hunter2' }).join()).not.toContain('hunter2');
  });

  it('looks only at the variables of the role', () => {
    expect(refusals({ FL_NUM_ROUNDS: 'many' }, 'supernode')).toEqual([]);
  });

  it('warns of minimum clients above those that must be online, and of names that are no names', () => {
    const given = { FL_USE_CASE: 'anomaly-detection', FL_MIN_FIT_CLIENTS: '5' };
    const { warnings } = validate({ ...given, FL_CERT_EXTRA_SAN: 'IP:10.0.0.9, foo' });
    expect(warnings[0]).toContain('FL_MIN_FIT_CLIENTS=5 is more than FL_MIN_AVAILABLE_CLIENTS=2');
    expect(warnings[1]).toContain('"foo" is left out');
  });

  it.each([
    [
      { FL_STRATEGY: 'Bulyan', FL_NUM_MALICIOUS: '5' },
      ['FL_STRATEGY=Bulyan', 'FL_NUM_MALICIOUS=5'],
      'FL_USE_CASE is none',
    ],
    [
      { FL_MIN_FIT_CLIENTS: '5', FL_NUM_ROUNDS: '9' },
      ['FL_NUM_ROUNDS=9', 'FL_MIN_FIT_CLIENTS=5'],
      'FL_USE_CASE is none',
    ],
    [{ FL_USE_CASE: 'anomaly-detection', FL_PROXIMAL_MU: '2' }, ['FL_PROXIMAL_MU=2'], 'FL_STRATEGY is FedAvg'],
    [
      {
        ...{ FL_USE_CASE: 'anomaly-detection', FL_CHECKPOINT_ENABLED: 'NO', FL_CHECKPOINT_INTERVAL: '1' },
        ...{ FL_CHECKPOINT_KEEP: '9', FL_CHECKPOINT_PATH: '/mnt' },
      },
      ['FL_CHECKPOINT_INTERVAL=1', 'FL_CHECKPOINT_KEEP=9', 'FL_CHECKPOINT_PATH=/mnt'],
      'FL_CHECKPOINT_ENABLED is NO',
    ],
  ])('tells once of each value that is set but unused: %o', (given, unused, why) => {
    expect(validate(given).warnings).toEqual(unused.map(value => `${value} is not used: ${why}.`));
  });

  it('tells once of names for a certificate that is not made', () => {
    const key = '-----BEGIN PRIVATE KEY-----\nTUlJQg==\n-----END PRIVATE KEY-----\n';
    const names = { FL_CERT_EXTRA_SAN: 'DNS:a.example' };
    const own = { FL_SSL_CA_CERTFILE: pem, FL_SSL_CERTFILE: pem, FL_SSL_KEYFILE: key };
    const unused = (why: string) => `FL_CERT_EXTRA_SAN=DNS:a.example is not used: ${why}.`;
    expect(validate({ ...names, ...own }).warnings).toEqual([unused('FL_SSL_CERTFILE is given')]);
    expect(validate({ ...names, FL_TLS_ENABLED: 'NO' }).warnings).toContain(unused('FL_TLS_ENABLED is NO'));
    expect(validate(names).warnings).toEqual([]);
  });

  it('is silent on what is used without a use case, and on defaults that are written out', () => {
    const used = { FL_MIN_AVAILABLE_CLIENTS: '3', FL_CHECKPOINT_PATH: '/mnt', ML_FRAMEWORK: 'sklearn' };
    const written = { FL_NUM_ROUNDS: '3', FL_TRIM_BETA: '.2', FL_CHECKPOINT_INTERVAL: '5' };
    expect(validate({ ...used, ...written }).warnings).toEqual([]);
    expect(validate({ FL_CHECKPOINT_ENABLED: 'NO' }).warnings).toEqual([]);
  });

  it('answers any text with a value or a problem, and a problem is one short line', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.constantFrom('FL_NUM_ROUNDS', 'FL_NODE_CONFIG', 'FL_CERT_EXTRA_SAN', 'FL_DATABASE'),
          fc.string({ unit: 'binary' }),
        ),
        given => {
          for (const problem of validate(given).problems) {
            const line = describeProblem(problem);
            expect(line).not.toMatch(/[\0\n]/);
            expect(line.length).toBeLessThan(500);
          }
        },
      ),
    );
  });
});

describe('unknownVariables', () => {
  it('names the nearest variable and leaves other names alone', () => {
    expect(unknownVariables(['FL_NUM_ROUND', 'ETH0_IP', 'FL_NUM_ROUNDS', 'FL_SOMETHING_ELSE_ENTIRELY'])).toEqual([
      { name: 'FL_NUM_ROUND', nearest: 'FL_NUM_ROUNDS' },
      { name: 'FL_SOMETHING_ELSE_ENTIRELY', nearest: undefined },
    ]);
  });
});
