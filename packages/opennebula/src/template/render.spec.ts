import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { renderTemplate, type Template, type TemplateItem, type TemplateScalar } from './index.ts';

/** A second reading of the text form, from the recorded facts: in quotes only a backslash before a quote is an escape. */
function read(text: string): [string, string | [string, string][]][] {
  const found: [string, string | [string, string][]][] = [];
  let rest = text;
  while (rest.trim() !== '') {
    const start = /^\s*([A-Z_][A-Z0-9_]*)\s*=\s*/.exec(rest);
    if (!start?.[1]) throw new Error(`no attribute at ${rest.slice(0, 20)}`);
    rest = rest.slice(start[0].length);
    const value: { length: number; value: string | [string, string][] } = rest.startsWith('[')
      ? readVector(rest)
      : readQuoted(rest);
    found.push([start[1], value.value]);
    rest = rest.slice(value.length);
  }
  return found;
}

function readQuoted(text: string): { length: number; value: string } {
  const quoted = /^"((?:\\"|[^"])*)"/.exec(text);
  if (quoted?.[1] === undefined) throw new Error(`no quoted value at ${text.slice(0, 20)}`);
  return { length: quoted[0].length, value: quoted[1].replaceAll('\\"', '"') };
}

function readVector(text: string): { length: number; value: [string, string][] } {
  const pairs: [string, string][] = [];
  let at = 1;
  while (!/^\s*\]/.test(text.slice(at))) {
    const key = /^[\s,]*([A-Z_][A-Z0-9_]*)\s*=\s*/.exec(text.slice(at));
    if (!key?.[1]) throw new Error('no pair in a vector');
    at += key[0].length;
    const value = readQuoted(text.slice(at));
    pairs.push([key[1], value.value]);
    at += value.length;
  }
  return { length: text.indexOf(']', at) + 1, value: pairs };
}

const name = fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,8}$/);
const special = fc.constantFrom(
  '"',
  '\\',
  '[',
  ']',
  ',',
  '=',
  '\n',
  '\r',
  '<',
  '&',
  '#',
  '$',
  "'",
  ' ',
  'ü',
  '漢',
  'a',
);
const text = fc
  .array(special, { maxLength: 12 })
  .map(parts => parts.join(''))
  .filter(value => !/\\("|$)/.test(value) && !value.includes(']]>'));
const scalar: fc.Arbitrary<TemplateScalar> = fc.oneof(text, fc.integer(), fc.boolean());
const vector = fc
  .uniqueArray(fc.tuple(name, scalar), { minLength: 1, maxLength: 4, selector: ([key]) => key })
  .map(pairs => Object.fromEntries(pairs));
const item: fc.Arbitrary<TemplateItem> = fc.oneof(scalar, vector);
const template: fc.Arbitrary<Template> = fc
  .uniqueArray(fc.tuple(name, fc.oneof(item, fc.array(item, { maxLength: 3 }))), {
    maxLength: 5,
    selector: ([key]) => key,
  })
  .map(pairs => Object.fromEntries(pairs));

function textOf(value: TemplateScalar): string {
  if (typeof value === 'boolean') return value ? 'YES' : 'NO';
  return String(value);
}

function expected(value: Template): [string, string | [string, string][]][] {
  return Object.entries(value).flatMap(([key, items]) =>
    [items]
      .flat()
      .map((one): [string, string | [string, string][]] => [
        key,
        typeof one === 'object' ? Object.entries(one).map(([k, v]): [string, string] => [k, textOf(v)]) : textOf(one),
      ]),
  );
}

describe('renderTemplate', () => {
  it('writes what reads back the same', () => {
    fc.assert(
      fc.property(template, value => {
        expect(read(renderTemplate(value))).toEqual(expected(value));
      }),
      { numRuns: 500 },
    );
  });

  it('writes single values, vectors and repeated names', () => {
    expect(renderTemplate({ name: 'a "b"', CPU: 0.5, HOT: false, NIC: [{ NETWORK_ID: 1 }, { NETWORK_ID: 2 }] })).toBe(
      'NAME = "a \\"b\\""\nCPU = "0.5"\nHOT = "NO"\nNIC = [ NETWORK_ID = "1" ]\nNIC = [ NETWORK_ID = "2" ]',
    );
    expect(renderTemplate({})).toBe('');
  });

  it.each(['A-B', 'A.B', '1A', '', 'A B', 'A="x"\nB', 'Ä'])('refuses the name %j', bad => {
    expect(() => renderTemplate({ [bad]: 'x' })).toThrow(expect.objectContaining({ code: 'template-name' }));
    expect(() => renderTemplate({ CONTEXT: { [bad]: 'x' } })).toThrow(
      expect.objectContaining({ code: 'template-name' }),
    );
  });

  it.each([
    ['a]]>b', 'template-value'],
    ['ends in a backslash\\', 'template-value'],
    ['a backslash before a quote \\"', 'template-value'],
    ['a\u0000b', 'unsendable-character'],
    ['a\u001bb', 'unsendable-character'],
    ['🙂', 'unsendable-character'],
    ['\uD800', 'unsendable-character'],
  ])('refuses the value %j', (bad, code) => {
    expect(() => renderTemplate({ A: bad })).toThrow(expect.objectContaining({ code }));
    expect(() => renderTemplate({ CONTEXT: { A: bad } })).toThrow(expect.objectContaining({ code }));
  });

  it('refuses an empty vector and more than 8 MiB', () => {
    expect(() => renderTemplate({ CONTEXT: {} })).toThrow(expect.objectContaining({ code: 'template-value' }));
    expect(() => renderTemplate({ A: 'x'.repeat(8 * 1024 * 1024) })).toThrow(
      expect.objectContaining({ code: 'template-too-large' }),
    );
  });

  it('never repeats a refused value', () => {
    expect(() => renderTemplate({ PASSWORD: 'secret]]>' })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('secret') }),
    );
  });
});
