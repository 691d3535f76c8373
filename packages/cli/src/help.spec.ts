import { describe, expect, it } from 'vitest';
import { commands } from './commands/index.ts';
import { runCommandLine } from './testing/command-line.ts';

const words = commands.flatMap(command =>
  'verbs' in command ? [command.name, ...command.verbs.map(verb => `${command.name} ${verb.name}`)] : [command.name],
);

function run(...line: string[]) {
  return runCommandLine({ environment: { ONEFLOWER_HOME: '/nowhere', HOME: '/nowhere' } }, ...line);
}

describe('help', () => {
  it('of the program', async () => {
    const { code, stdout, stderr } = await run('--help');
    expect(code).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).toMatchSnapshot();
  });

  it.each(words)('of %s', async line => {
    const { code, stdout } = await run(...line.split(' '), '--help');
    expect(code).toBe(0);
    expect(stdout).toMatchSnapshot();
  });

  it('shows the version', async () => {
    expect((await run('--version')).stdout).toMatch(/^oneflower \d+\.\d+\.\d+\n$/);
  });

  it('has an example of every command, and each of them is read', async () => {
    for (const command of commands.flatMap(one => ('verbs' in one ? one.verbs : [one]))) {
      expect(command.examples.length).toBeGreaterThan(0);
      for (const example of command.examples) {
        const line = /oneflower ([^)|]+)/.exec(example)?.[1]?.trim().split(' ') ?? [];
        expect([example, (await run(...line, '--help')).code]).toEqual([example, 0]);
      }
    }
  });
});

describe('a command line that makes no sense', () => {
  it.each([
    [['deplyo'], "unknown command 'deplyo'", 'deploy'],
    [['run', 'wach'], "unknown command 'wach'", 'watch'],
    [['deploy', '--ste', 'A=1'], "unknown option '--ste'", '--set'],
    [['scale', 'x'], "missing required argument 'nodes'", '--help'],
    [['status', 'a', 'b'], 'too many arguments', '--help'],
    [['cloud', 'start', '--driver', 'qemu'], 'Allowed choices are process, dummy', '--help'],
  ])('%j: exit code 2, what is wrong and what was meant', async (line, complaint, meant) => {
    const { code, stdout, stderr } = await run(...line);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain(complaint);
    expect(stderr).toContain(meant);
  });

  it('without a command, or without a verb, shows what there is', async () => {
    for (const line of [[], ['run']]) {
      const { code, stderr } = await run(...line);
      expect(code).toBe(2);
      expect(stderr).toContain('Usage: oneflower');
    }
  });

  it('is a document too when --json is asked for', async () => {
    const { code, document } = await run('deploy', '--ste', '--json');
    expect(code).toBe(2);
    expect(document()).toMatchObject({ schemaVersion: 1, error: { code: 'usage', fault: 'user' } });
  });
});

describe('completion', () => {
  it.each(['bash', 'zsh', 'fish'])('of %s knows commands, options and variables', async shell => {
    const { code, stdout } = await run('completion', shell);
    expect(code).toBe(0);
    for (const known of ['deploy', 'watch', 'dry-run', 'FL_NUM_ROUNDS']) expect(stdout).toContain(known);
    expect(stdout).not.toContain('REPORT_READY');
  });

  it('of another shell is refused', async () => {
    expect((await run('completion', 'tcsh')).code).toBe(2);
  });

  it('of bash completes', async () => {
    const { execFile } = await import('node:child_process');
    const { promisify } = await import('node:util');
    const { stdout: script } = await run('completion', 'bash');
    const complete = async (...line: string[]): Promise<string> => {
      const quoted = line.map(word => `"${word}"`).join(' ');
      const ask = `COMP_WORDS=(oneflower ${quoted}); COMP_CWORD=${line.length}; _oneflower; echo "\${COMPREPLY[@]}"`;
      const { stdout } = await promisify(execFile)('bash', ['-c', `${script}\n${ask}`]);
      return stdout.trim();
    };
    expect(await complete('de')).toBe('deploy delete');
    expect(await complete('run', 'w')).toBe('watch');
    expect(await complete('deploy', 'x', '--dr')).toBe('--dry-run');
    expect(await complete('deploy', '--set', 'FL_NUM_R')).toBe('FL_NUM_ROUNDS=');
  });
});

describe('variables', () => {
  it('are listed, and one is told in full', async () => {
    expect((await run('variables')).stdout).toContain('FL_NUM_ROUNDS');
    expect((await run('variables', 'fl_num_rounds')).stdout).toBe(
      [
        'FL_NUM_ROUNDS: Number of federated training rounds.',
        'Value: must be a whole number from 1 to 10000',
        'Default: 3',
        'Roles: superlink',
        'Effect: Run config num-server-rounds.',
        'Applies when: FL_USE_CASE is not none',
        '',
      ].join('\n'),
    );
  });

  it('are a document, and an unknown one is corrected', async () => {
    const { variables } = (await run('variables', '--json')).document() as { variables: { name: string }[] };
    expect(variables.map(({ name }) => name)).toContain('FL_TLS_ENABLED');
    const unknown = await run('variables', 'FL_NUM_ROUND');
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toContain('Did you mean FL_NUM_ROUNDS?');
  });
});
