import { expect, test } from 'vitest';
import { recordedJson, recordedText } from '../testing/recordings.ts';
import { makeToken, verifyToken } from './token.ts';

interface Vector {
  vmid: number;
  stime: number;
  token_password: string;
  token: string;
}

const vectors = recordedJson<Vector[]>('guest/token-vectors.json').map(vector => ({
  parts: { vmId: vector.vmid, startTime: vector.stime, tokenPassword: vector.token_password },
  token: vector.token,
}));

test('makes the recorded tokens', () => {
  expect(vectors.length).toBeGreaterThan(2);
  for (const { parts, token } of vectors) expect(makeToken(parts)).toBe(token);
});

test('makes what the recorded guest found in token.txt', () => {
  const vector = vectors.find(({ parts }) => parts.vmId === 46);
  expect(vector && makeToken(vector.parts)).toBe(recordedText('guest/vm46-token.txt').trim());
});

test('accepts the token of the very VM and start time only', () => {
  const [first, second] = vectors;
  if (!first || !second) throw new Error('two vectors are needed');
  expect(verifyToken(first.token, first.parts)).toBe(true);
  expect(verifyToken(`${first.token}%0a`, first.parts)).toBe(true);
  expect(verifyToken(second.token, first.parts)).toBe(false);
  expect(verifyToken(first.token, { ...first.parts, startTime: first.parts.startTime + 1 })).toBe(false);
  expect(verifyToken('', first.parts)).toBe(false);
  expect(verifyToken('not base64 at all', first.parts)).toBe(false);
});
