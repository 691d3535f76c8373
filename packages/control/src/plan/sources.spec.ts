import { isOneFlowerError } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { readAssignmentArguments, readVariablesFile } from './sources.ts';

function codeOf(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (isOneFlowerError(error)) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'accepted';
}

describe('a file of variables', () => {
  const values = { FL_NUM_ROUNDS: '5', FL_TLS_ENABLED: 'NO', FL_NODE_CONFIG: 'a="b"' };

  it.each([
    ['YAML', '# rounds\nFL_NUM_ROUNDS: 5\nFL_TLS_ENABLED: false\nFL_NODE_CONFIG: a="b"\n'],
    ['JSON', '{"FL_NUM_ROUNDS": 5, "FL_TLS_ENABLED": false, "FL_NODE_CONFIG": "a=\\"b\\""}'],
    ['lines', '# rounds\nFL_NUM_ROUNDS=5\nexport FL_TLS_ENABLED = "NO"\n\nFL_NODE_CONFIG=a="b"\r\n'],
  ])('may be %s', (_, text) => {
    expect(readVariablesFile(text, 'x')).toEqual(values);
  });

  it('may be empty, and a value may have many lines in YAML', () => {
    expect(readVariablesFile('# nothing\n', 'x')).toEqual({});
    expect(readVariablesFile('FL_SSL_KEYFILE: |\n  one\n  two\n', 'x')).toEqual({ FL_SSL_KEYFILE: 'one\ntwo\n' });
  });

  it.each([
    ['- a\n- b\n', 'neither a mapping'],
    ['FL_X: [1]\n', 'FL_X holds a list'],
    ['FL_X: 1\nFL_X: 2\n', 'cannot be read'],
    ['{"a": ', 'cannot be read'],
    ['A=1\nnonsense\n', 'line 2'],
    ['a: &a x\nb: *a\n', 'cannot be read'],
    [`A=${'x'.repeat(2_000_000)}`, 'more than'],
  ])('%j is refused', (text, words) => {
    expect(codeOf(() => readVariablesFile(text, 'file.yml'))).toContain('variables-file');
    expect(codeOf(() => readVariablesFile(text, 'file.yml'))).toContain(words);
  });
});

describe('assignments', () => {
  it('may hold anything after the first equals sign, and the last one counts', () => {
    expect(readAssignmentArguments(['A=1', 'B=x=y', 'A=2', 'C='])).toEqual({ A: '2', B: 'x=y', C: '' });
  });

  it.each(['A', '=1', 'A B=1', ''])('%j is refused', text => {
    expect(codeOf(() => readAssignmentArguments([text]))).toContain('assignment-invalid');
  });
});
