import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectCloud } from '@oneflower/control';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Fate, type FlowProxy, openFlowProxy } from '../testing/flow-proxy.ts';
import { openStage, type Stage } from '../testing/stage.ts';

const secret = 'join-token-0123456789';
const words = ['deploy', '--set', `FL_JOIN_TOKEN=${secret}`, '--json'];

let stage: Stage;
let proxy: FlowProxy;
let fateOf: (request: string) => Fate;
beforeEach(async () => {
  stage = await openStage();
  fateOf = () => 'pass';
  proxy = await openFlowProxy(stage, request => fateOf(request));
});
afterEach(async () => {
  await proxy.close();
  await stage.close();
});

async function serviceTemplates(): Promise<string> {
  const { oneflow } = connectCloud(await stage.access());
  return JSON.stringify(await oneflow.templates.list());
}

interface Ended {
  error: { code: string; remedy: string; details: { left: { kind: string; id: number }[] } };
}

function kindsLeft({ error }: Ended): string[] {
  return error.details.left.map(({ kind }) => kind);
}

describe('a deployment with secrets that ends early', () => {
  it.each([
    ['registered', /^POST \/service_template$/, 'pass'],
    ['instantiated', /^POST \/service_template\/\d+\/action$/, 'swallow'],
  ] as const)('by an interrupt while its template is %s leaves none with them', async (_, at, fate) => {
    const controller = new AbortController();
    fateOf = request => {
      if (!at.test(request)) return 'pass';
      controller.abort(new Error('interrupted'));
      return fate;
    };
    const { environment } = proxy;
    const interrupted = await stage.runWith({ environment, signal: controller.signal }, ...words);
    expect(interrupted.code).toBe(130);
    expect(interrupted.stderr).toMatch(/Service template .* registered/);
    const ended = interrupted.document() as unknown as Ended;
    expect(kindsLeft(ended)).toEqual(['VM template', 'VM template']);
    expect(ended.error.remedy).toMatch(/VM templates are used again by the next deployment\.$/);
    expect(await serviceTemplates()).not.toContain(secret);
  });

  it('keeps its token where a service may have been made all the same', async () => {
    const controller = new AbortController();
    fateOf = request => {
      if (!/action$/.test(request)) return 'pass';
      controller.abort(new Error('interrupted'));
      return 'swallow';
    };
    await stage.runWith({ environment: proxy.environment, signal: controller.signal }, ...words);
    const [cloud = ''] = await readdir(join(stage.home, 'services'));
    expect(await readdir(join(stage.home, 'services', cloud))).toEqual(['flower.json']);
  });

  it('because its record cannot be written leaves no template with them', async () => {
    await writeFile(join(stage.home, 'services'), 'not a folder');
    const failed = await stage.run(...words);
    const ended = failed.document() as unknown as Ended;
    expect(ended.error.code).toBe('file-write');
    expect(kindsLeft(ended)).toEqual(['VM template', 'VM template']);
    expect(ended.error.remedy).toContain('VM templates are used again by the next deployment.');
    expect(await serviceTemplates()).not.toContain(secret);
  });

  it('and cannot delete its template says that, and how it is deleted', async () => {
    await writeFile(join(stage.home, 'services'), 'not a folder');
    fateOf = request => (request.startsWith('DELETE') ? 'refuse' : 'pass');
    const failed = await stage.runWith({ environment: proxy.environment }, ...words);
    const ended = failed.document() as unknown as Ended;
    expect(kindsLeft(ended)).toEqual(['VM template', 'VM template', 'service template']);
    const remedy = /delete it with oneflow-template delete (\d+)\.$/.exec(ended.error.remedy);
    expect(Number(remedy?.[1])).toBe(ended.error.details.left[2]?.id);
    expect(failed.stderr).toMatch(/Warning: The service template \d+ holds secrets and could not be deleted/);
    expect(failed.stdout + failed.stderr).not.toContain(secret);
  });
});
