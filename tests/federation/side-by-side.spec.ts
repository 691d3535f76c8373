import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedCloud, partitionsOf } from '../support/embedded-cloud.ts';
import { testSoftware } from '../support/software.ts';

interface Deployment {
  strategy: string;
  nodes: number;
  /** Beyond FL_STRATEGY and what all have. */
  set?: Record<string, string>;
  /** What the strategy says of itself; the names are those of Flower's classes. */
  parameters?: Record<string, number>;
}

/** Two nodes where another model is to come out of it than FedAvg's; median and trimming of two are their mean. */
const deployments: Record<string, Deployment> = {
  mean: { strategy: 'FedAvg', nodes: 2 },
  near: { strategy: 'FedProx', nodes: 2, set: { FL_PROXIMAL_MU: '1.5' }, parameters: { proximal_mu: 1.5 } },
  adam: { strategy: 'FedAdam', nodes: 2, set: { FL_SERVER_LR: '0.03' }, parameters: { eta: 0.03 } },
  krum: { strategy: 'Krum', nodes: 2, parameters: { num_malicious_nodes: 0 } },
  median: { strategy: 'FedMedian', nodes: 1 },
  trimmed: { strategy: 'FedTrimmedAvg', nodes: 1, set: { FL_TRIM_BETA: '0.3' }, parameters: { beta: 0.3 } },
};
const names = Object.keys(deployments);
const common = { FL_USE_CASE: 'anomaly-detection', FL_NUM_ROUNDS: '1' };

describe(`${names.length} deployments on one embedded cloud, each with another strategy`, () => {
  const cloud = new EmbeddedCloud();
  beforeAll(() => cloud.document('cloud', 'start'), 120_000);
  afterEach(context => cloud.explain(context));
  afterAll(() => cloud.remove());

  it('are deployed and train at once, from variables alone', { timeout: 600_000 }, async () => {
    const deploy = ([name, { strategy, nodes, set }]: [string, Deployment]) => {
      const variables = { ...common, FL_STRATEGY: strategy, FL_MIN_AVAILABLE_CLIENTS: String(nodes), ...set };
      const minima = nodes === 1 ? { FL_MIN_FIT_CLIENTS: '1', FL_MIN_EVALUATE_CLIENTS: '1' } : {};
      const words = Object.entries({ ...variables, ...minima }).flatMap(pair => ['--set', pair.join('=')]);
      return cloud.document('deploy', name, '--nodes', String(nodes), ...words, '--wait');
    };
    for (const { service } of await Promise.all(Object.entries(deployments).map(deploy))) {
      expect(service).toMatchObject({ run: { status: 'completed', round: 1, rounds: 1, model: true } });
    }
  });

  it('do not meet: each has addresses, state, nodes and a run of its own', { timeout: 120_000 }, async () => {
    const services = await Promise.all(names.map(name => cloud.status(name)));
    const addresses = services.flatMap(({ vms }) => vms.map(({ ip }) => ip));
    expect(new Set(addresses).size).toBe(addresses.length);
    const seen: (string | null)[] = [];
    for (const [index, service] of services.entries()) {
      const nodes = deployments[names[index] ?? '']?.nodes ?? 0;
      expect(service.vms).toHaveLength(1 + nodes);
      // Each SuperLink lists its own nodes and no other, and those lease its partitions.
      expect(partitionsOf(service)).toEqual(Array.from({ length: nodes }, (_, partition) => partition));
      const own = service.vms.filter(({ role }) => role === 'supernode').map(({ nodeId }) => nodeId);
      const listed = service.flower?.nodes.filter(({ online }) => online).map(({ nodeId }) => nodeId) ?? [];
      expect(listed.toSorted(), service.flowerUnknown ?? '').toEqual(own.toSorted());
      seen.push(...own);
    }
    expect(new Set(seen).size).toBe(seen.length);
    for (const { runs } of await Promise.all(names.map(name => cloud.document('run', 'list', name)))) {
      expect(runs).toMatchObject([{ app: 'anomaly-detection', status: 'completed', submittedBy: 'variables' }]);
    }
  });

  it('leave the model of the strategy that FL_STRATEGY names, with its variables', { timeout: 120_000 }, async () => {
    const files = await Promise.all(
      Object.entries(deployments).map(async ([name, { strategy, parameters = {} }]) => {
        const file = join(cloud.home, `${name}.npz`);
        const { cardFiles } = (await cloud.document('model', 'download', name, '-o', file)) as { cardFiles: string[] };
        const card = JSON.parse(readFileSync(cardFiles.find(path => path.endsWith('.json')) ?? '', 'utf8'));
        expect(card).toMatchObject({ round: 1, strategy, strategyParameters: parameters });
        return file;
      }),
    );
    const distances = JSON.parse(execFileSync(testSoftware().python, ['-c', measure, ...files], { encoding: 'utf8' }));
    for (const name of ['near', 'adam', 'krum']) expect(distances[name].mean, name).toBeGreaterThan(0.001);
    // With the same data and seeds nothing but the strategy makes a difference: of one model both make that one.
    expect(distances.trimmed.median).toBeLessThan(1e-6);
  });
});

/** How far the models are from one another: the largest difference of a weight, by the names of their files. */
const measure = `
import json, sys
from pathlib import Path
import numpy
models = {Path(file).stem: dict(numpy.load(file)) for file in sys.argv[1:]}
def distance(one, other):
    assert one.keys() == other.keys()
    return max(float(numpy.abs(one[name] - other[name]).max()) for name in one if name not in ("center", "width"))
print(json.dumps({name: {other: distance(models[name], models[other]) for other in models} for name in models}))
`;
