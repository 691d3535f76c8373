import {
  type Clock,
  isOneFlowerError,
  messageOf,
  OneFlowerError,
  type RunSummary,
  type Settings,
} from '@oneflower/contract';
import { isUnreachable } from '@oneflower/opennebula';
import { type Cloud, connectCloud } from '../cloud.ts';
import type { Notify } from '../notify.ts';
import { connectOperator } from '../operator/connect.ts';
import type { CardinalityRequest } from '../plan/cardinality.ts';
import { planService, type ServicePlan } from '../plan/plan.ts';
import type { GivenValues } from '../plan/sources.ts';
import { defaultReadyWithinMs, followVms } from '../service/follow-vms.ts';
import { forgetAuthorities, makeOperatorToken, removeRecord, writeRecord } from '../service/records.ts';
import { operatorEndpointOf } from '../service/vms.ts';
import { type FollowGoal, followTraining } from './follow-training.ts';
import { dropServiceTemplate, type Made, registerServiceTemplate, registerVmTemplates } from './register.ts';
import { findResources, type ResourceRequest } from './resources.ts';

export interface DeployContext {
  cloud: Cloud;
  home: string;
  clock: Clock;
  notify: Notify;
  signal?: AbortSignal | undefined;
  /** Readies what the VMs will need outside the cloud; called when nothing is in the way and nothing was made yet. */
  prepare?: ((settings: Settings) => Promise<void>) | undefined;
}

export interface DeployRequest extends CardinalityRequest, ResourceRequest {
  name: string;
  values: Readonly<GivenValues>;
  /** Until the run has ended, not only until training starts. */
  wait: boolean;
  /** Milliseconds until all VMs must be ready. */
  readyWithinMs?: number | undefined;
}

export interface DeployResult {
  id: number;
  name: string;
  nodes: number;
  /** Milliseconds from instantiation until all VMs were ready. */
  readyAfterMs: number;
  /** The run of FL_USE_CASE; null without one. */
  run: RunSummary | null;
}

const uninterruptedMs = 15_000;

/**
 * Deploys a service and follows it: until all VMs are ready without a use case, until training starts with one,
 * or, with `wait`, until the run has ended.
 * @throws OneFlowerError what planning and finding resources throw; `service-exists`, `deploy-failed`,
 * `deploy-timeout`, `run-failed`, `deploy-interrupted`. `details.left` lists what was made and is still there.
 */
export async function deployService(context: DeployContext, request: DeployRequest): Promise<DeployResult> {
  const { token, hash } = makeOperatorToken();
  const plan = planService({ ...request, operatorTokenHash: hash });
  for (const message of plan.warnings) context.notify({ type: 'warning', message });
  const made: Made[] = [];
  try {
    const id = await create(context, request, plan, token, made);
    return await follow(context, request, plan, id);
  } catch (error) {
    throw withLeft(error, made, plan, context.signal);
  }
}

async function create(
  context: DeployContext,
  request: DeployRequest,
  plan: ServicePlan,
  token: string,
  made: Made[],
): Promise<number> {
  const { cloud, notify } = context;
  await refuseTakenName(cloud, plan.name);
  const resources = await findResources(cloud, request);
  await context.prepare?.(plan.settings);
  const registration = { cloud, notify, made };
  const vmTemplates = await registerVmTemplates(registration, plan, resources);
  const template = plan.serviceTemplate({ vmTemplates, networkId: resources.network.id });
  const templateId = plan.secret
    ? await uninterrupted(context, steady =>
        registerServiceTemplate({ ...registration, cloud: steady }, plan, template),
      )
    : await registerServiceTemplate(registration, plan, template);
  try {
    return await instantiate(context, plan, { templateId, networkId: resources.network.id }, token, made);
  } finally {
    if (plan.secret) await dropSecretTemplate(context, templateId, made);
  }
}

/** The record goes first, so that no service is made whose token would be lost. */
async function instantiate(
  { cloud, home, notify, signal }: DeployContext,
  plan: ServicePlan,
  { templateId, networkId }: { templateId: number; networkId: number },
  token: string,
  made: Made[],
): Promise<number> {
  const place = { home, cloudKey: cloud.access.key };
  const record = { name: plan.name, operatorToken: token, tls: plan.settings.FL_TLS_ENABLED };
  signal?.throwIfAborted();
  await forgetAuthorities(place, plan.name);
  await writeRecord(place, { ...record, serviceId: null });
  try {
    const { id, name } = await cloud.oneflow.templates.instantiate(templateId, plan.instantiation(networkId));
    made.push({ kind: 'service', name, id });
    await writeRecord(place, { ...record, serviceId: id });
    notify({ type: 'service_created', name, id });
    return id;
  } catch (error) {
    const doubtful = isUnreachable(error) || signal?.aborted === true;
    if (!doubtful && !made.some(one => one.kind === 'service')) await removeRecord(place, plan.name);
    throw error;
  }
}

/** A service template with secrets must not stay; the service has its own copy of what it needs. */
async function dropSecretTemplate(context: DeployContext, id: number, made: Made[]): Promise<void> {
  try {
    await uninterrupted(context, steady => dropServiceTemplate(steady, id));
    made.splice(0, made.length, ...made.filter(one => one.kind !== 'service template' || one.id !== id));
  } catch (error) {
    const message = `The service template ${id} holds secrets and could not be deleted: ${messageOf(error)} Delete it with oneflow-template delete ${id}.`;
    context.notify({ type: 'warning', message });
  }
}

/** For what must not be left half done: the interrupt of a person does not reach it, only a limit of its own. */
async function uninterrupted<Result>(
  { cloud, clock }: DeployContext,
  use: (steady: Cloud) => Promise<Result>,
): Promise<Result> {
  const limit = new AbortController();
  const late = new Error(`OneFlow has not answered for ${uninterruptedMs / 1000} seconds.`);
  const timer = clock.after(uninterruptedMs, () => limit.abort(late));
  try {
    return await use(connectCloud(cloud.access, limit.signal));
  } finally {
    timer.cancel();
  }
}

async function refuseTakenName(cloud: Cloud, name: string): Promise<void> {
  const taken = (await cloud.oneflow.services.list()).find(service => service.name === name);
  if (!taken) return;
  throw new OneFlowerError({
    code: 'service-exists',
    message: `There is a service ${name} already (${taken.id}, ${taken.state}).`,
    reason: 'Names of services are unique, so that commands can use them.',
    remedy: `Give another name (oneflower deploy NAME), or remove it with oneflower delete ${name}.`,
    fault: 'user',
  });
}

async function follow(
  context: DeployContext,
  request: DeployRequest,
  plan: ServicePlan,
  serviceId: number,
): Promise<DeployResult> {
  const { cloud, clock, notify } = context;
  const stop = new AbortController();
  const signal = context.signal ? AbortSignal.any([context.signal, stop.signal]) : stop.signal;
  const begun = clock.now();
  const operatorApi = Promise.withResolvers<void>();
  const running = Promise.withResolvers<number>();
  const goal: FollowGoal = plan.settings.FL_USE_CASE === 'none' ? 'ready' : request.wait ? 'end' : 'training';
  const vms = followVms({
    cloud,
    clock,
    notify,
    serviceId,
    signal,
    aim: {
      verb: 'deploy',
      task: `deploy ${plan.name}`,
      late: `${plan.name} is not ready`,
      remedy: () => `Then remove it with oneflower delete ${plan.name} and deploy again.`,
    },
    withinMs: request.readyWithinMs ?? defaultReadyWithinMs,
    isReached: service => service.state === 'RUNNING',
    onLook: all => {
      if (all.some(operatorEndpointOf)) operatorApi.resolve();
    },
    onReached: () => running.resolve(clock.now() - begun),
  });
  const training = operatorApi.promise.then(() =>
    followTraining({ connect: () => connectOperator(context, plan.name), clock, notify, signal, goal }),
  );
  // Not decisive where training is not waited for.
  training.catch((error: unknown) => {
    if (goal === 'ready' && !signal.aborted) notify({ type: 'warning', message: messageOf(error) });
  });
  const reached = goal === 'ready' ? running.promise.then(() => null) : training;
  try {
    const [readyAfterMs, run] = await Promise.race([vms, Promise.all([running.promise, reached])]);
    return { id: serviceId, name: plan.name, nodes: plan.cardinality.nodes, readyAfterMs, run };
  } finally {
    stop.abort(new Error('followed to the end'));
    operatorApi.resolve();
    await Promise.allSettled([vms, training]);
  }
}

/** A failed or interrupted deployment names everything that it has made and that is still there. */
function withLeft(
  error: unknown,
  made: readonly Made[],
  plan: Pick<ServicePlan, 'name' | 'secret'>,
  signal: AbortSignal | undefined,
): unknown {
  const interrupted = signal?.aborted === true;
  if (!interrupted && !isOneFlowerError(error)) return error;
  const left = made.map(one => `${one.kind} ${one.name} (${one.id})`).join(', ');
  const sentence = left === '' ? 'Nothing was made.' : `Made and still there: ${left}. ${adviceOn(made, plan)}`;
  const parts = isOneFlowerError(error) && !interrupted ? error : undefined;
  return new OneFlowerError({
    code: parts?.code ?? 'deploy-interrupted',
    message: parts?.message ?? `Interrupted while deploying ${plan.name}.`,
    ...(parts?.reason === undefined ? {} : { reason: parts.reason }),
    remedy: [parts?.remedy, parts && left === '' ? undefined : sentence].filter(Boolean).join(' '),
    fault: parts?.fault ?? 'user',
    cause: interrupted ? messageOf(error) : error,
    details: { ...parts?.details, left: [...made] },
  });
}

function adviceOn(made: readonly Made[], { name, secret }: Pick<ServicePlan, 'name' | 'secret'>): string {
  const sentences: string[] = [];
  const secretTemplate = secret ? made.find(one => one.kind === 'service template') : undefined;
  if (made.some(one => one.kind === 'service')) {
    sentences.push(`The service goes on: oneflower status ${name} shows it, oneflower delete ${name} removes it.`);
  } else if (made.some(one => one !== secretTemplate)) {
    sentences.push(`${secret ? 'VM templates' : 'Templates'} are used again by the next deployment.`);
  }
  if (secretTemplate) {
    const { id } = secretTemplate;
    sentences.push(`The service template ${id} holds secrets: delete it with oneflow-template delete ${id}.`);
  }
  return sentences.join(' ');
}
