import { defineConfig } from 'vitest/config';

/** Tests that start real Flower processes: each of them keeps both cores of a small machine busy. */
const withFlower = [
  'tests/**/*.spec.ts',
  'packages/agent/src/{superlink,node-key}.spec.ts',
  'packages/agent/src/{flower-control/client,gate/flower}.spec.ts',
];

const shared = { testTimeout: 30_000, hookTimeout: 60_000, restoreMocks: true } as const;

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        test: {
          ...shared,
          name: 'units',
          include: ['packages/*/src/**/*.spec.ts', 'tools/**/*.spec.ts'],
          exclude: withFlower,
        },
      },
      {
        test: {
          ...shared,
          name: 'with Flower',
          include: withFlower,
          maxWorkers: 1,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
