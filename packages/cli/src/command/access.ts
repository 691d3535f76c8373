import type { Cloud, RunsContext } from '@oneflower/control';
import { reportProgress } from '../output/report-progress.ts';
import type { CommandInput } from './spec.ts';

/** The cloud that a command means. */
export async function openCloud({ context, options }: CommandInput): Promise<Cloud> {
  const { connectCloud, findCloud, homeFolder } = await import('@oneflower/control');
  const { environment, signal } = context;
  const home = homeFolder(environment);
  const userFolder = environment.HOME;
  const access = await findCloud({
    home,
    environment,
    cloud: options.cloud,
    ...(userFolder === undefined ? {} : { userFolder }),
  });
  return connectCloud(access, signal);
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
