import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../testing/temporary.ts';
import { runReadyScript } from './ready-script.ts';

const never = new AbortController().signal;

describe('runReadyScript', () => {
  it('runs the program inside the root', async () => {
    const root = await temporaryFolder();
    await mkdir(join(root, 'opt'));
    await writeFile(join(root, 'opt/ready'), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
    await runReadyScript(root, '/opt/ready', never);
  });

  it.each([
    ['#!/bin/sh\nexit 3\n', 0o755, 'exit code 3'],
    ['#!/bin/sh\nkill -9 $$\n', 0o755, 'SIGKILL'],
    ['#!/bin/sh\n', 0o644, 'cannot be run'],
  ])('fails for %j with mode %o', async (text, mode, words) => {
    const root = await temporaryFolder();
    await writeFile(join(root, 'ready'), text, { mode });
    await expect(runReadyScript(root, '/ready', never)).rejects.toMatchObject({
      code: 'ready_script_failed',
      message: expect.stringContaining(words),
    });
  });

  it('runs a name with blanks and shell signs as it is', async () => {
    const root = await temporaryFolder();
    await expect(runReadyScript(root, '/a b;id', never)).rejects.toMatchObject({ code: 'ready_script_failed' });
  });
});
