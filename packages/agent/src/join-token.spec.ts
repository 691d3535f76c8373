import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ensureJoinToken } from './join-token.ts';
import { temporaryFolder } from './testing/temporary.ts';

describe('ensureJoinToken', () => {
  it('makes one and keeps it to itself', async () => {
    const file = join(await temporaryFolder(), 'join-token');
    const made = await ensureJoinToken(file);
    expect(made).toMatch(/^[A-Za-z0-9_-]{32}$/);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await expect(ensureJoinToken(file)).resolves.toBe(made);
  });

  it('does not replace one that cannot be read', async () => {
    const file = join(await temporaryFolder(), 'join-token');
    await mkdir(file);
    await expect(ensureJoinToken(file)).rejects.toMatchObject({ code: 'state_write_failed' });
  });
});
