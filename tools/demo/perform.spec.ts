import { OneFlowerError } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { commandFailure } from './command.ts';
import { type Demonstration, perform } from './perform.ts';

interface World {
  running: boolean;
  services: string[];
  keep?: boolean;
  /** Runs in the place of a part, after the part has made what it makes unless it throws. */
  start?: () => void;
  deploy?: () => void;
  show?: () => void;
  delete?: () => void;
}

/** A cloud in memory that understands the commands of a demonstration. */
function stage(world: World) {
  const said: string[] = [];
  const commands: string[] = [];
  function answer(command: string): unknown {
    if (command === 'cloud status') return { cloud: { state: world.running ? 'running' : 'stopped' } };
    if (command === 'status') return { services: world.services.map(name => ({ name })) };
    if (command === 'cloud stop') {
      world.running = false;
      return {};
    }
    world.delete?.();
    if (!world.services.includes('demo')) {
      throw commandFailure(['delete', 'demo'], 1, JSON.stringify({ error: { code: 'service-not-found' } }));
    }
    world.services.splice(world.services.indexOf('demo'), 1);
    return {};
  }
  const demonstration: Demonstration<string> = {
    service: 'demo',
    keep: world.keep ?? false,
    oneflower: async (...args) => {
      commands.push(args.join(' '));
      return answer(args.join(' '));
    },
    async startCloud() {
      world.start?.();
      world.running = true;
    },
    async deploy() {
      world.deploy?.();
      world.services.push('demo');
    },
    async show() {
      world.show?.();
      return 'model';
    },
    takingDown: work => work(),
    say: message => void said.push(message),
  };
  return { world, said, commands, played: perform(demonstration) };
}

function fails(code: string): () => never {
  return () => {
    throw new OneFlowerError({ code, message: `${code}.` });
  };
}

describe('a demonstration', () => {
  it('takes down the service and the cloud that it made', async () => {
    const { world, played } = stage({ running: false, services: [] });
    expect(await played).toBe('model');
    expect(world).toMatchObject({ running: false, services: [] });
  });

  it('leaves a cloud running that ran before', async () => {
    const { world, played } = stage({ running: true, services: ['mine'] });
    await played;
    expect(world).toMatchObject({ running: true, services: ['mine'] });
  });

  it('leaves everything that is to be kept', async () => {
    const { world, played } = stage({ running: false, services: [], keep: true });
    await played;
    expect(world).toMatchObject({ running: true, services: ['demo'] });
  });

  it.each([true, false])('refuses beside a service of its name and leaves it (cloud runs: %s)', async running => {
    const { world, commands, played } = stage({ running, services: ['demo'] });
    await expect(played).rejects.toMatchObject({ code: 'demo-exists', remedy: expect.stringContaining('delete demo') });
    expect(world).toMatchObject({ running, services: ['demo'] });
    expect(commands).not.toContain('delete demo');
  });

  it('leaves a service that somebody else deployed since it looked', async () => {
    const taken = stage({ running: true, services: [], deploy: fails('service-exists') });
    await expect(taken.played).rejects.toMatchObject({ code: 'service-exists' });
    expect(taken.commands).not.toContain('delete demo');
  });

  it.each(['start', 'deploy', 'show'] as const)('stops the cloud after a failure of its part %s', async part => {
    const { world, said, played } = stage({ running: false, services: [], [part]: fails('first') });
    await expect(played).rejects.toMatchObject({ code: 'first' });
    expect(world).toMatchObject({ running: false, services: [] });
    expect(said).toEqual([]);
  });

  it('throws the first failure, says that of the removal, and still stops the cloud', async () => {
    const failing = { show: fails('first'), delete: fails('delete-timeout') };
    const { world, said, played } = stage({ running: false, services: [], ...failing });
    await expect(played).rejects.toMatchObject({ code: 'first' });
    expect(said).toEqual(['delete-timeout.']);
    expect(world.running).toBe(false);
  });

  it('keeps a service that failed, if it is to be kept', async () => {
    const { world, played } = stage({ running: false, services: [], keep: true, show: fails('first') });
    await expect(played).rejects.toMatchObject({ code: 'first' });
    expect(world).toMatchObject({ running: true, services: ['demo'] });
  });
});

describe('the failure of a command', () => {
  it.each([
    [1, '{"error":{"code":"service-exists"}}', 'service-exists'],
    [1, '{"error":', 'demo'],
    [undefined, '', 'demo'],
  ])('that ended with %s and printed %s has the code %3$s', (exitCode, stdout, code) => {
    expect(commandFailure(['deploy'], exitCode, stdout).code).toBe(code);
  });
});
