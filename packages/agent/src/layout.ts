import { join, resolve } from 'node:path';
import type { Settings } from '@oneflower/contract';

/**
 * Every path that the agent uses. All but `software` lie under the guest's root, and nothing else is written; only
 * `versions` lies elsewhere where guests of one machine share it.
 */
export interface Layout {
  root: string;
  certs: string;
  ca: string;
  /** Flower's working folder; FL_DATABASE is relative to it. */
  flower: string;
  flowerState: string;
  flowerHome: string;
  data: string;
  /** The agent's own state, root only. */
  state: string;
  /** Writable for Flower's user: what our code inside Flower hands to the agent. */
  apps: string;
  appEvents: string;
  appModels: string;
  models: string;
  runs: string;
  /** Flower releases that were installed beside the baked ones. */
  versions: string;
  nodeKey: string;
  /** What a SuperNode trusts: the agent's own, out of reach of Flower's user. */
  caPin: string;
  authorizedKeys: string;
  /** Read-only, not under root. */
  software: { versions: string; python: string; apps: string; bundled: string };
}

/** The layout of a guest whose file system starts at `root` (`/` in a VM); `releases` stands for its `versions`. */
export function layoutOf(root: string, software: string, releases?: string): Layout {
  const base = resolve(root);
  const flower = join(base, 'opt/flower');
  const state = join(base, 'var/lib/oneflower');
  const apps = join(state, 'apps');
  const baked = resolve(software);
  return {
    root: base,
    certs: join(flower, 'certs'),
    ca: join(flower, 'ca'),
    flower,
    flowerState: join(flower, 'state'),
    flowerHome: join(flower, 'state/flwr'),
    data: join(flower, 'data'),
    state,
    apps,
    appEvents: join(apps, 'events.jsonl'),
    appModels: join(apps, 'models'),
    models: join(state, 'models'),
    runs: join(state, 'runs'),
    versions: releases === undefined ? join(state, 'versions') : resolve(releases),
    nodeKey: join(flower, 'certs/node.key'),
    caPin: join(state, 'trusted-ca.json'),
    authorizedKeys: join(base, 'root/.ssh/authorized_keys'),
    software: {
      versions: join(baked, 'versions'),
      python: join(baked, 'python'),
      apps: join(baked, 'apps'),
      bundled: join(baked, 'bundled'),
    },
  };
}

/** Where the ServerApps of a SuperLink write checkpoints, or undefined where there are to be none. */
export function checkpointsOf({ root }: Layout, settings: Settings): string | undefined {
  return settings.FL_CHECKPOINT_ENABLED ? join(root, settings.FL_CHECKPOINT_PATH) : undefined;
}
