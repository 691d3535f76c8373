import { array, assert, constantFrom, property, stringMatching } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { destinationOf } from './paths.ts';

describe('destinationOf', () => {
  it('knows the ways through the gate', () => {
    expect(destinationOf('/v1/fleet/pull-messages', 'http')).toBe('fleet');
    expect(destinationOf('/v1/fleet/pull-messages?x=1', 'http')).toBe('fleet');
    expect(destinationOf('/v1/site/enrol', 'http')).toBe('site');
    expect(destinationOf('/flwr.proto.Fleet/ActivateNode', 'grpc')).toBe('fleet');
    expect(destinationOf('/v1/site/enrol', 'grpc')).toBe('site');
  });

  it('knows nothing else', () => {
    const targets = [
      ...[
        '/',
        '*',
        '/v1',
        '/v1/fleet',
        '/v1/fleet/',
        '/v1/control/list-runs',
        '/v1/runtime/acquire-task',
        '/health',
        '/docs',
      ],
      ...['/v1/fleet/../control/start-run', '/v1/fleet/%2e%2e/control/start-run', '/v1/fleet/..%2fcontrol/start-run'],
      ...[
        '/v1/fleet//start-run',
        '//v1/fleet/x',
        '/v1/fleet/./x',
        '/v1/fleet/x;/../../control',
        '/v1/fleet\\..\\control',
      ],
      ...['/V1/FLEET/x', '/v1/fleet%2fx', '/v1/fleet/x#', '/v1/fleet/x y', '/v1/fleet/\u00e9', 'v1/fleet/x'],
      ...[
        'https://127.0.0.1/v1/fleet/x',
        '/x/v1/fleet/y',
        '/v1/fleetx/y',
        '/v1/site/',
        '/v1/site/../control/start-run',
      ],
      ...['/flwr.proto.Fleet/ActivateNode', undefined, '', '/v1/fleet/x?a b', '/v1/fleet/x?\n'],
    ];
    for (const target of targets) expect(destinationOf(target, 'http'), target).toBe('nowhere');
    const grpc = ['/flwr.proto.Control/StartRun', '/flwr.proto.Fleet/', '/flwr.proto.Fleet/../x', '/v1/fleet/get-run'];
    for (const target of grpc) expect(destinationOf(target, 'grpc'), target).toBe('nowhere');
  });

  it('passes only what every server reads as a path below /v1/fleet/', () => {
    const piece = constantFrom(
      'v1',
      'fleet',
      'control',
      '..',
      '.',
      '',
      '%2e%2e',
      '%2F',
      'a',
      '\\',
      ';',
      '?',
      '#',
      'site',
    );
    assert(
      property(array(piece, { maxLength: 7 }), stringMatching(/^[/a-z.%?]{0,5}$/), (pieces, tail) => {
        const target = `/v1/fleet/${pieces.join('/')}${tail}`;
        if (destinationOf(target, 'http') !== 'fleet') return true;
        const { pathname } = new URL(target, 'http://h');
        return decodeURIComponent(pathname) === target.split('?')[0] && pathname.startsWith('/v1/fleet/');
      }),
    );
  });
});
