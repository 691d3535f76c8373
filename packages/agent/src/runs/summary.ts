import { RunSummary } from '@oneflower/contract';
import { whyNotResumable } from './refusals.ts';
import type { RunRecord } from './store.ts';

/** What others are told of a run. */
export function summaryOf(record: RunRecord): RunSummary {
  const resumable = whyNotResumable(record, undefined) === undefined;
  return RunSummary.parse({ ...record, resumes: record.resume !== 'none', resumable });
}
