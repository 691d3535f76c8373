import { normalise } from '../../testing/normalise.ts';
import type { Recording } from '../../testing/recordings.ts';
import type { RestAnswer } from '../rest/http.ts';
import { type Bench, sessionText, tester } from './bench.ts';
import type { DummyCloud } from './dummy-cloud.ts';
import { serviceBody, story } from './story.ts';

/** What came of a recorded request, in the form in which it is compared. */
export interface Outcome {
  status: number;
  body: string;
}

/** Steps in which time moves on while a state is waited for: small ones first, for states that hardly last. */
const steps = [...Array<number>(20).fill(5), ...Array<number>(200).fill(1000)];

/** The recorded outcome. */
export function recordedOutcome({ response }: Recording): Outcome {
  return { status: response.status, body: normalise(response.body) };
}

/**
 * Replays one exchange: what happened before it, then the request. The recorder polled for states, so a service is
 * read again and again while time moves on until the answer is the recorded one (or the time is up).
 */
export async function replay(bench: Bench<DummyCloud>, recording: Recording): Promise<Outcome> {
  const number = recording.stem.slice(0, 3);
  await story[recording.area === 'cli' ? `cli${number}` : number]?.(bench);
  const expected = recordedOutcome(recording);
  const polls = recording.request.method === 'GET' && recording.request.path.startsWith('/service');
  let outcome = send(bench, recording);
  for (const step of polls ? steps : []) {
    if (outcome.status === expected.status && outcome.body === expected.body) break;
    await bench.clock.advance(step);
    outcome = send(bench, recording);
  }
  return outcome;
}

function send(bench: Bench<DummyCloud>, recording: Recording): Outcome {
  const { method, path, headers } = recording.request;
  const answer: RestAnswer = bench.flow.handle({
    method,
    path,
    headers: { authorization: authorization(bench, headers.authorization) },
    body: bodyOf(bench, recording),
  });
  return { status: answer.status, body: normalise(answer.body) };
}

/** A login token of the recording is one of that server: here the same user gets one of this server. */
function authorization(bench: Bench<DummyCloud>, recorded: string | undefined): string | undefined {
  const session = Buffer.from(recorded?.replace('Basic ', '') ?? '', 'base64').toString();
  if (!/^tester:[0-9a-f]{64}$/.test(session)) return recorded;
  const token = bench.core.call(sessionText(tester), 'one.user.login', tester.name, '', 3600, -1);
  return `Basic ${Buffer.from(`${tester.name}:${token.ok ? token.value : ''}`).toString('base64')}`;
}

/** The start time is immutable: an update that was read from the recorded service must carry ours. */
function bodyOf(bench: Bench<DummyCloud>, { request, stem }: Recording): string {
  if (!/service-put(-immutable|-cardinality)?$/.test(stem)) return request.body;
  const start = serviceBody(bench, request.path.split('/')[2] ?? '').start_time;
  return request.body.replace(/"start_time": \d+/, `"start_time": ${start}`);
}
