import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { dispatch } from './dispatch.ts';

function answerWhen(run: () => never): { answer: ReturnType<typeof dispatch>; errors: unknown[] } {
  const errors: unknown[] = [];
  const answer = dispatch(
    {
      methods: { 'one.vm.info': { args: [], help: '', run } },
      authenticate: () => ({ id: 0, gid: 0, groups: [0] }),
      transaction: work => work(),
      onError: error => errors.push(error),
    },
    'one.vm.info',
    ['oneadmin:x'],
  );
  return { answer, errors };
}

describe('a call that fails for no fault of the caller', () => {
  it('blames the state file for what SQLite says only', () => {
    const { answer, errors } = answerWhen(() => {
      new DatabaseSync(':memory:').exec('SELECT * FROM gone');
      throw new Error('SQLite has thrown');
    });
    const message = '[one.vm.info] Cannot write the state: no such table: gone.';
    expect([answer, errors.length]).toEqual([{ ok: false, message, errno: 8192, objectId: -1 }, 1]);
  });

  it('tells any other fault as it is', () => {
    const { answer, errors } = answerWhen(() => {
      throw new Error('it is broken');
    });
    const message = '[one.vm.info] Internal error: it is broken.';
    expect([answer, errors.length]).toEqual([{ ok: false, message, errno: 8192, objectId: -1 }, 1]);
  });
});
