import type { SuperLinkStatus } from '@oneflower/contract';
import type { Certificates } from './certificates/index.ts';
import type { Guest } from './guest.ts';
import type { OperatorSource } from './operator/types.ts';
import { listModels } from './runs/models.ts';
import type { RunService } from './runs/service.ts';
import type { Site } from './site/index.ts';
import { agentVersion } from './version.ts';

/** What the operator API looks at. */
export interface ShownSuperLink {
  guest: Guest;
  site: Site;
  runs: RunService;
  certificates: Certificates | undefined;
}

/** What the operator API shows of a SuperLink. */
export function operatorSource(superLink: ShownSuperLink): OperatorSource {
  const { guest } = superLink;
  return {
    status: async () => statusOf(superLink),
    runs: async () => superLink.runs.keeper.list(),
    submit: (archive, runConfig, from) => superLink.runs.submit(archive, runConfig, from),
    resume: (runId, round) => superLink.runs.resume(runId, round),
    checkpoints: runId => superLink.runs.checkpoints(runId),
    history: runId => superLink.runs.history(runId),
    stop: runId => superLink.runs.stop(runId),
    logs: (runId, after) => superLink.runs.logs(runId, after),
    events: (after, waitMs, signal) => guest.events.page(after, waitMs, signal),
    models: () => listModels(guest.layout),
    model: (runId, which) => superLink.runs.models.describe(runId, which),
    modelFile: (runId, which, format) => superLink.runs.models.open(runId, which, format),
  };
}

function statusOf({ guest, certificates, site, runs }: ShownSuperLink): SuperLinkStatus {
  return {
    flowerVersion: guest.release.version,
    agentVersion,
    tls: certificates !== undefined,
    useCase: guest.settings.FL_USE_CASE,
    waitingFor: runs.keeper.waitingFor(),
    nodes: site.nodes(),
    run: runs.keeper.current() ?? null,
  };
}
