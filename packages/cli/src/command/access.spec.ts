import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeAuthority } from '../testing/certificates.ts';
import { openStage, type Stage } from '../testing/stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
  expect((await stage.run('deploy', 'sensors')).code).toBe(0);
});
afterEach(() => stage.close());

it('runs are refused to who has no token, and to a machine with another certificate', async () => {
  const file = join(stage.home, 'services', 'embedded', 'sensors.json');
  const record = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify({ ...record, operatorToken: 'another' }));
  const refused = await stage.run('run', 'list', '--json');
  expect(refused.document()).toMatchObject({ error: { code: 'operator-token-refused' } });
  expect(refused.code).toBe(3);

  const superlink = (await stage.oned.vms.list({ extended: true })).find(vm => vm.roleName === 'superlink');
  const other = Buffer.from((await makeAuthority()).ca).toString('base64');
  await stage.oned.vms.update(superlink?.id ?? -1, { FL_CA_CERT: other }, 'merge');
  const untrusted = await stage.run('run', 'list', '--json');
  expect(untrusted.document()).toMatchObject({ error: { code: 'operator-untrusted' } });
  expect(untrusted.code).toBe(3);

  await stage.oned.vms.update(superlink?.id ?? -1, { FL_TLS: 'NO', FL_CA_CERT: 'none' }, 'merge');
  expect((await stage.run('run', 'list', '--json')).document()).toMatchObject({
    error: { code: 'operator-untrusted' },
  });

  await writeFile(file, 'damaged');
  const missing = await stage.run('run', 'list', '--json');
  expect(missing.document()).toMatchObject({ error: { code: 'operator-token-missing' } });
  expect(missing.code).toBe(3);
});
