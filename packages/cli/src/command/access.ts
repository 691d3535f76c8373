import type { Cloud, CloudAccess, RunsContext } from '@oneflower/control';
import type { CliContext } from '../context.ts';
import { reportProgress } from '../output/report-progress.ts';
import type { CommandInput, OptionValues } from './spec.ts';

/** Where the cloud is that a command means. */
export async function findAccess({ environment }: CliContext, options: OptionValues): Promise<CloudAccess> {
  const { findCloud, homeFolder } = await import('@oneflower/control');
  const userFolder = environment.HOME;
  return findCloud({
    home: homeFolder(environment),
    environment,
    cloud: options.cloud,
    ...(userFolder === undefined ? {} : { userFolder }),
  });
}

/** The cloud that a command means. */
export async function openCloud({ context, options }: CommandInput): Promise<Cloud> {
  const { connectCloud } = await import('@oneflower/control');
  return connectCloud(await findAccess(context, options), context.signal);
}

/** What operations on a service's runs and models need; without a name the only service is meant. */
export async function openRuns(input: CommandInput, service: string | undefined): Promise<RunsContext> {
  const { homeFolder, onlyService } = await import('@oneflower/control');
  const { context, reporter } = input;
  const cloud = await openCloud(input);
  return {
    cloud,
    home: homeFolder(context.environment),
    service: service ?? (await onlyService(cloud)),
    clock: context.clock,
    signal: context.signal,
    notify: progress => reportProgress(reporter, progress),
  };
}
