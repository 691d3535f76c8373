import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openStage, type Stage } from '../../testing/stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(() => stage.close());

describe('a cloud kept by name', () => {
  it('is checked, kept without its login, and found again', async () => {
    const { endpoint, oneflowUrl } = await stage.access();
    const environment = { ONEFLOWER_HOME: stage.home, HOME: stage.home };
    const named = {
      ...environment,
      ONE_XMLRPC: endpoint,
      ONEFLOW_URL: oneflowUrl,
      ONE_AUTH: join(stage.home, 'embedded', 'one_auth'),
    };
    const saved = await stage.runWith({ environment: named }, 'cloud', 'save', 'hospital', '--json');
    expect(saved.document()).toMatchObject({ cloud: { name: 'hospital', xmlrpc: endpoint, user: 'oneadmin' } });
    const kept = await readFile(join(stage.home, 'clouds', 'hospital.json'), 'utf8');
    expect(JSON.parse(kept).authFile).toBe(join(stage.home, 'embedded', 'one_auth'));
    expect(kept).not.toContain('oneadmin:');
    expect((await stage.run('status', '--cloud', 'hospital', '--json')).code).toBe(0);
  });

  it('is refused under the name of the embedded one', async () => {
    expect((await stage.run('cloud', 'save', 'embedded')).stderr).toContain('is the name of the embedded cloud');
  });
});
