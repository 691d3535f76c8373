import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Framework } from '@oneflower/contract';
import type { Cloud, DeployRequest, GivenValues } from '@oneflower/control';
import { openCloud } from '../command/access.ts';
import { isSet, listOption, textOption, wholeNumber } from '../command/options.ts';
import type { CommandInput, CommandResult, CommandSpec } from '../command/spec.ts';
import { reportProgress } from '../output/report-progress.ts';
import { formatDuration, formatMetrics } from '../output/text.ts';
import { isEmbeddedHere, prepareFramework } from './cloud/framework.ts';

export const deploy: CommandSpec = {
  name: 'deploy',
  summary: 'Deploy one SuperLink and its SuperNodes as a OneFlow service',
  description:
    'Renders the templates from the variables, registers them (or uses equal ones again), instantiates the service ' +
    'and follows it until all VMs are ready and, with FL_USE_CASE set, training starts.',
  arguments: [{ name: '[name]', help: 'name of the service (default: flower)' }],
  options: [
    { flags: '-f, --file <file>', help: 'file of variables: YAML, JSON or NAME=VALUE lines', repeated: true },
    { flags: '-s, --set <NAME=VALUE>', help: 'one variable; counts over those of files', repeated: true },
    { flags: '-n, --nodes <number>', help: 'SuperNodes (default: 2, or what the variables need)' },
    { flags: '--min-nodes <number>', help: 'fewest SuperNodes that scaling may leave' },
    { flags: '--max-nodes <number>', help: 'most SuperNodes that scaling may reach (default: 10)' },
    { flags: '--image <image>', help: 'name or number of the image (default: OneFlower)' },
    { flags: '--network <network>', help: 'name or number of the network (default: the only one, or oneflower)' },
    { flags: '-w, --wait', help: 'until the run has ended' },
    { flags: '--ready-within <seconds>', help: 'give up when the VMs are not ready by then (default: 1800)' },
    { flags: '--dry-run', help: 'print every request that would be sent, secrets masked, and send none' },
  ],
  cloud: true,
  examples: [
    'oneflower deploy',
    'oneflower deploy sensors --nodes 3 --set FL_USE_CASE=anomaly-detection --wait',
    'oneflower deploy -f site.yml --set FL_NUM_ROUNDS=5 --dry-run',
  ],
  async run(input) {
    const request = await readRequest(input);
    return isSet(input.options, 'dryRun') ? showPlan(input, request) : deployNow(input, request);
  },
};

async function readRequest({ options, arguments: [name], context }: CommandInput): Promise<DeployRequest> {
  const { defaultServiceName, readAssignmentArguments } = await import('@oneflower/control');
  const values: GivenValues = {};
  for (const file of listOption(options, 'file'))
    Object.assign(values, await readValues(resolve(context.folder, file)));
  Object.assign(values, readAssignmentArguments(listOption(options, 'set')));
  const readyWithin = await wholeNumber(textOption(options, 'readyWithin'), '--ready-within');
  return {
    name: name ?? defaultServiceName,
    values,
    nodes: await wholeNumber(textOption(options, 'nodes'), '--nodes'),
    min: await wholeNumber(textOption(options, 'minNodes'), '--min-nodes'),
    max: await wholeNumber(textOption(options, 'maxNodes'), '--max-nodes'),
    image: textOption(options, 'image'),
    network: textOption(options, 'network'),
    wait: isSet(options, 'wait'),
    readyWithinMs: readyWithin === undefined ? undefined : readyWithin * 1000,
  };
}

async function readValues(file: string): Promise<GivenValues> {
  const { readVariablesFile } = await import('@oneflower/control');
  const text = await readFile(file, 'utf8').catch(async (cause: Error) => {
    const { OneFlowerError } = await import('@oneflower/contract');
    throw new OneFlowerError({
      code: 'variables-file',
      message: `The file of variables ${file} cannot be read: ${cause.message}.`,
      remedy: 'Check the path given with --file.',
      fault: 'user',
      cause,
    });
  });
  return readVariablesFile(text, file);
}

async function deployNow(input: CommandInput, request: DeployRequest): Promise<CommandResult> {
  const { deployService, homeFolder, planService } = await import('@oneflower/control');
  const { context, reporter } = input;
  // What is wrong with the request is said before any cloud is asked.
  planService({ ...request, operatorTokenHash: '' });
  const cloud = await openCloud(input);
  const embedded = await isEmbeddedHere(input, cloud.access.endpoint);
  const result = await deployService(
    {
      cloud,
      home: homeFolder(context.environment),
      clock: context.clock,
      signal: context.signal,
      notify: progress => reportProgress(reporter, progress),
      // The image of a real cloud has its framework in it.
      prepare: embedded ? settings => prepareFramework(input, settings.ML_FRAMEWORK as Framework) : undefined,
    },
    request,
  );
  const { run, name } = result;
  const lines = [`${name} (${result.id}) was ready after ${formatDuration(result.readyAfterMs)}.`];
  if (run) {
    const metrics = formatMetrics(run.metrics);
    lines.push(`Run ${run.runId} is ${run.status}${metrics === '' ? '' : `: ${metrics}`}.`);
    const next = run.model ? `oneflower model download ${name}` : `oneflower run watch ${name}`;
    lines.push(`Next: ${next}`);
  } else {
    lines.push(`Next: oneflower run submit ${name} DIR`);
  }
  return { document: { service: result }, text: `${lines.join('\n')}\n` };
}

async function showPlan(input: CommandInput, request: DeployRequest): Promise<CommandResult> {
  const { dryRun, planService } = await import('@oneflower/control');
  const plan = planService({ ...request, operatorTokenHash: '<SHA-256 of the token that the deployment makes>' });
  const cloud = await cloudIfAny(input);
  const { requests, warnings } = await dryRun(plan, { ...request, cloud });
  for (const warning of warnings) input.reporter.warning(warning);
  const text = requests.map(({ server, call, body, already }) => {
    const note = already === null ? '' : ` (left out: registered already as ${already})`;
    const shown = typeof body === 'string' ? body : JSON.stringify(body, undefined, 2);
    return `${server} ${call}${note}\n${shown}\n`;
  });
  return {
    document: { dryRun: true, service: { name: plan.name, ...plan.cardinality }, requests, warnings },
    text: text.join('\n'),
  };
}

/** A dry run needs no cloud. */
async function cloudIfAny(input: CommandInput): Promise<Cloud | undefined> {
  const { isOneFlowerError, messageOf } = await import('@oneflower/contract');
  try {
    return await openCloud(input);
  } catch (error) {
    if (!isOneFlowerError(error) || input.options.cloud !== undefined) throw error;
    input.reporter.warning(`Numbers in angle brackets are not known: ${messageOf(error)}`);
    return undefined;
  }
}
