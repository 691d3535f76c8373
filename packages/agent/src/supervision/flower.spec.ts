import { validate } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import type { Certificates } from '../certificates/types.ts';
import { layoutOf } from '../layout.ts';
import { type FlowerSetting, nodeConfigWith, superLinkProcesses, superNodeProcesses } from './flower.ts';

const certificates: Certificates = {
  ...{ caFile: '/c/ca.crt', certificateFile: '/c/server.pem', keyFile: '/c/server.key' },
  ...{ caPem: 'ca', certificatePem: 'certificate', keyPem: 'key', fingerprint: 'f', renewAt: 0, expiresAt: 0 },
  ...{ changed: false, warnings: [] },
};

function setting(values: Record<string, string> = {}, version = '1.41.0'): FlowerSetting {
  const { settings, problems } = validate(values);
  expect(problems).toEqual([]);
  const layout = layoutOf('/vm', '/opt/oneflower');
  return { layout, settings, version, bin: '/opt/oneflower/v/bin', loopback: '127.0.0.1', owner: undefined };
}

function argsOf(flag: string, args: readonly string[] = []): string | undefined {
  return args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined;
}

describe('the processes of a SuperLink', () => {
  it('listen on loopback only, with TLS and node authentication', () => {
    const [link, ...others] = superLinkProcesses(setting(), certificates);
    expect(others).toEqual([]);
    expect(link?.file).toBe('/opt/oneflower/python/oneflower/warm/bin/flower-superlink');
    expect(link?.args).toEqual([
      ...['--host', '127.0.0.1', '--port', '8000'],
      ...['--ssl-certfile', '/c/server.pem', '--ssl-keyfile', '/c/server.key', '--ssl-ca-certfile', '/c/ca.crt'],
      ...['--enable-supernode-auth', '--disable-runtime-dependency-installation'],
      ...['--database', '/vm/opt/flower/state/state.db', '--isolation', 'subprocess'],
    ]);
  });

  it('serve the gRPC Fleet API on a port of its own before 1.40', () => {
    const [link] = superLinkProcesses(setting({}, '1.39.0'), certificates);
    expect(argsOf('--fleet-api-address', link?.args)).toBe('127.0.0.1:9091');
    expect(argsOf('--port', link?.args)).toBe('8000');
  });

  it('go without TLS and authentication only together', () => {
    const [link] = superLinkProcesses(setting({ FL_TLS_ENABLED: 'NO' }), undefined);
    expect(link?.args).toContain('--insecure');
    expect(link?.args.join(' ')).not.toMatch(/ssl|auth/);
  });

  it('look different when the certificate was renewed', () => {
    const before = superLinkProcesses(setting(), certificates);
    const after = superLinkProcesses(setting(), { ...certificates, certificatePem: 'another' });
    expect(after).not.toEqual(before);
  });

  it('tell apps where checkpoints go, unless there are to be none', () => {
    const [link] = superLinkProcesses(setting({ FL_CHECKPOINT_PATH: '/mnt/disk' }), certificates);
    expect(link?.env.ONEFLOWER_CHECKPOINTS).toBe('/vm/mnt/disk');
    const [without] = superLinkProcesses(setting({ FL_CHECKPOINT_ENABLED: 'NO' }), certificates);
    expect(without?.env).not.toHaveProperty('ONEFLOWER_CHECKPOINTS');
  });

  it('take database and isolation from the variables', () => {
    const values = { FL_DATABASE: 'state/other.db', FL_ISOLATION: 'process' };
    const [link, exec] = superLinkProcesses(setting(values), certificates);
    expect(argsOf('--database', link?.args)).toBe('/vm/opt/flower/state/other.db');
    expect(argsOf('--isolation', link?.args)).toBe('process');
    expect(exec?.args).toEqual(['--root-certificates', '/c/ca.crt', '--runtime-api-address', '127.0.0.1:8000']);
  });

  it('get a minimal environment, and no update check or telemetry', () => {
    const [link] = superLinkProcesses(setting({ FL_LOG_LEVEL: 'DEBUG' }), certificates);
    expect(link?.env).toMatchObject({
      FLWR_TELEMETRY_ENABLED: '0',
      FLWR_DISABLE_UPDATE_CHECK: '1',
      FLWR_LOG_LEVEL: 'DEBUG',
      PYTHONPATH: '/opt/oneflower/python',
      ONEFLOWER_EVENTS: '/vm/var/lib/oneflower/apps/events.jsonl',
      ONEFLOWER_MODELS: '/vm/var/lib/oneflower/apps/models',
      ONEFLOWER_DATA: '/vm/opt/flower/data',
    });
    expect(Object.keys(link?.env ?? {})).not.toContain('SHELL');
  });
});

describe('the processes of a SuperNode', () => {
  const gate = { host: '10.0.0.5', port: 9092 };
  const trust = { caFile: '/c/ca.crt', caPem: 'ca', keyFile: '/c/node.key' };

  it('join through the gate with key and CA', () => {
    const [node] = superNodeProcesses(setting(), { gate, trust, nodeConfig: 'partition-id=1 num-partitions=3' });
    expect(node?.args).toEqual([
      ...['--superlink', '10.0.0.5:9092', '--root-certificates', '/c/ca.crt'],
      ...['--auth-supernode-private-key', '/c/node.key', '--host', '127.0.0.1', '--port', '9094'],
      ...['--isolation', 'subprocess', '--node-config', 'partition-id=1 num-partitions=3'],
    ]);
  });

  it('pass an IPv6 address in brackets, with its port once', () => {
    const [node] = superNodeProcesses(setting(), { gate: { host: '::1', port: 9092 }, trust, nodeConfig: '' });
    expect(argsOf('--superlink', node?.args)).toBe('[::1]:9092');
    expect(node?.args).not.toContain('--node-config');
  });

  it.each([
    [{ FL_MAX_RETRIES: '0', FL_MAX_WAIT_TIME: '0' }, undefined, undefined],
    [{ FL_MAX_RETRIES: '5', FL_MAX_WAIT_TIME: '60' }, '5', '60'],
  ])('with %j', (values, retries, wait) => {
    const [node] = superNodeProcesses(setting(values), { gate, trust, nodeConfig: '' });
    expect(argsOf('--max-retries', node?.args)).toBe(retries);
    expect(argsOf('--max-wait-time', node?.args)).toBe(wait);
  });

  it('go without TLS where that was decided, and run apps beside with isolation process', () => {
    const [node, exec] = superNodeProcesses(setting({ FL_ISOLATION: 'process' }), {
      gate,
      trust: undefined,
      nodeConfig: '',
    });
    expect(node?.args).toContain('--insecure');
    expect(exec?.args).toEqual(['--insecure', '--runtime-api-address', '127.0.0.1:9094']);
  });
});

describe('warm workers', () => {
  const join = { gate: { host: '10.0.0.5', port: 9092 }, trust: undefined, nodeConfig: '' };
  const launchers = '/opt/oneflower/python/oneflower/warm/bin';

  it('start every process of a guest through the launchers, with one folder and the framework', () => {
    const values = { FL_ISOLATION: 'process', ML_FRAMEWORK: 'pytorch', FL_USE_CASE: 'anomaly-detection' };
    const processes = superNodeProcesses(setting(values), join);
    expect(processes.map(({ file }) => file)).toEqual([
      `${launchers}/flower-supernode`,
      `${launchers}/flower-superexec`,
    ]);
    for (const { env } of processes) {
      expect(env.PATH).toBe(`${launchers}:/opt/oneflower/v/bin:/usr/local/bin:/usr/bin:/bin`);
      expect(env).toMatchObject({
        ONEFLOWER_WARM_FOLDER: '/vm/opt/flower/state/warm',
        ONEFLOWER_WARM_PROGRAM: 'flwr-clientapp',
        ONEFLOWER_FRAMEWORK: 'pytorch',
        ONEFLOWER_USE_CASE: 'anomaly-detection',
      });
      expect(env).not.toHaveProperty('ONEFLOWER_WARM');
    }
  });

  it('are ServerApps at a SuperLink', () => {
    const processes = superLinkProcesses(setting({ FL_ISOLATION: 'process' }), certificates);
    expect(processes.map(({ env }) => env.ONEFLOWER_WARM_PROGRAM)).toEqual(['flwr-serverapp', 'flwr-serverapp']);
  });

  it('leave a SuperLink as it is when the use case is another one', () => {
    const withUseCase = (FL_USE_CASE: string) => superLinkProcesses(setting({ FL_USE_CASE }), certificates);
    expect(withUseCase('anomaly-detection')).toEqual(withUseCase('none'));
  });

  it.each([
    ['switched off', { FL_WARM_WORKERS: 'NO' }, '1.41.0'],
    ['a release whose waits are not known', {}, '1.40.0'],
    ['the oldest release', {}, '1.39.0'],
  ])('leave Flower as it is: %s', (_, values, version) => {
    const [node] = superNodeProcesses(setting(values, version), join);
    expect(node?.file).toBe('/opt/oneflower/v/bin/flower-supernode');
    expect(node?.env.PATH).toBe('/opt/oneflower/v/bin:/usr/local/bin:/usr/bin:/bin');
    expect(node?.env.ONEFLOWER_WARM).toBe('0');
  });
});

describe('nodeConfigWith', () => {
  it.each([
    ['', [], 'partition-id=1 num-partitions=3'],
    ['name="a b"', ['name'], 'name="a b" partition-id=1 num-partitions=3'],
    ['partition-id=7', ['partition-id'], 'partition-id=7 num-partitions=3'],
  ])('%j', (given, keys, expected) => {
    expect(nodeConfigWith(given, keys, { id: 1, of: 3 })).toBe(expected);
  });
});
