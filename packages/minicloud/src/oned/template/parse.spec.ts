import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { renderTemplate, type Template } from './attributes.ts';
import { longestXml, parseTemplate, TemplateError } from './parse.ts';

const name = fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,8}$/);
/** Text that quotes can hold: a backslash may not stand before the closing quote, and CDATA may not be ended. */
const value = fc.string({ unit: 'binary' }).map(text =>
  text
    .replace(/[^\t\n\u0020-\uD7FF]/g, ' ')
    .replaceAll(']]>', ']] >')
    .replace(/\\+("|$)/g, '$1'),
);
const template: fc.Arbitrary<Template> = fc.array(
  fc.record({ name, value: fc.oneof(value, fc.dictionary(name, value, { minKeys: 1, noNullPrototype: true })) }),
);

function quote(text: string): string {
  return `"${text.replaceAll('"', '\\"')}"`;
}

function write(parsed: Template): string {
  return parsed
    .map(attribute => {
      if (typeof attribute.value === 'string') return `${attribute.name}=${quote(attribute.value)}`;
      const pairs = Object.entries(attribute.value).map(([key, text]) => `${key} = ${quote(text)}`);
      return `${attribute.name} = [ ${pairs.join(',\n  ')} ]`;
    })
    .join('\n');
}

describe('parseTemplate', () => {
  it('reads back every template that was written in quotes', () => {
    fc.assert(
      fc.property(template, written => {
        expect(parseTemplate(write(written))).toEqual(written);
      }),
    );
  });

  it('reads back every template that was written as XML', () => {
    const plain = template.filter(written => written.every(({ value: text }) => text !== ''));
    fc.assert(
      fc.property(plain, written => {
        const again = parseTemplate(renderTemplate(written));
        expect(renderTemplate(again)).toBe(renderTemplate(written));
      }),
    );
  });

  it('takes any text for a template or refuses it with a TemplateError, and in good time', () => {
    const pieces = fc.constantFrom(
      'A',
      '=',
      '"',
      '[',
      ']',
      ',',
      '\n',
      ' ',
      '\\',
      '#',
      '<',
      '>',
      ']]>',
      '<![CDATA[',
      '&',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(pieces).map(parts => parts.join('')),
        ),
        text => {
          try {
            parseTemplate(text);
          } catch (error) {
            expect(error).toBeInstanceOf(TemplateError);
          }
        },
      ),
    );
    expect(() => parseTemplate('A=['.repeat(200_000))).toThrow(TemplateError);
  });

  it.each([
    ['names in lower case', 'ready=YES', [{ name: 'READY', value: 'YES' }]],
    ['a leading digit', '1A="x"', [{ name: 'ONE_1A', value: 'x' }]],
    [
      'repeated names',
      'A="1"\nA="2"',
      [
        { name: 'A', value: '1' },
        { name: 'A', value: '2' },
      ],
    ],
    ['nothing', '', []],
    [
      'an empty value',
      'A=\nB="1"',
      [
        { name: 'A', value: '' },
        { name: 'B', value: '1' },
      ],
    ],
    ['an open quote as a word', 'NAME="x', [{ name: 'NAME', value: '"x' }]],
    ['a double backslash as two', 'A="a\\\\b"', [{ name: 'A', value: 'a\\\\b' }]],
    ['a comment line', '# no\nA="1"', [{ name: 'A', value: '1' }]],
    ['marks in quotes', 'A="a=[b],\n<c> & #"', [{ name: 'A', value: 'a=[b],\n<c> & #' }]],
    ['words in a vector', 'C=[\n T=YES,\n F=bar ]', [{ name: 'C', value: { T: 'YES', F: 'bar' } }]],
    ['XML entities', '<T><A>a&amp;b&#x21;</A></T>', [{ name: 'A', value: 'a&b!' }]],
    ['an XML vector', '<T><V><A>1</A></V></T>', [{ name: 'V', value: { A: '1' } }]],
    ['a reference in CDATA as it is', '<T><A><![CDATA[&#0;]]></A></T>', [{ name: 'A', value: '&#0;' }]],
  ])('reads %s', (_name, text, expected) => {
    expect(parseTemplate(text)).toEqual(expected);
  });

  it.each([
    ['a dash in a name', 'A-B=1', 'unexpected VARIABLE, expecting EQUAL or EQUAL_EMPTY'],
    ['a nested vector', 'A=[B=[C="1"]]', 'unexpected OBRACKET, expecting STRING'],
    ['no value', 'A=', 'unexpected $end, expecting OBRACKET or CCDATA or STRING'],
    ['an open vector', 'A=[B="1"', 'unexpected $end, expecting CBRACKET or COMMA'],
    ['the end of CDATA', 'A="x]]>"', 'Parse error.'],
    ['broken XML', '<T><A>1</T>', 'XML Template malformed'],
    ['the end of CDATA in XML', '<T><A>a]]>b</A></T>', 'XML Template malformed'],
    ['a reference to NUL', '<T><A>a&#0;b</A></T>', 'XML Template malformed'],
    ['a reference to a control character', '<T><V><A>&#x1b;</A></V></T>', 'XML Template malformed'],
    ['a reference to half a pair', '<T><A>&#xD800;</A></T>', 'XML Template malformed'],
    ['a pair of references to halves', '<T><A>&#xD83D;&#xDE00;</A></T>', 'XML Template malformed'],
    ['a reference beyond U+FFFF', '<T><A>&#x1F600;</A></T>', 'XML Template malformed'],
    ['a reference beyond Unicode', '<T><A>&#x110000;</A></T>', 'XML Template malformed'],
    ['elements 150 deep', `<T>${'<A>'.repeat(150)}1${'</A>'.repeat(150)}</T>`, 'XML Template malformed'],
    ['an element that every object has', '<T><constructor>1</constructor></T>', 'XML Template malformed'],
  ])('refuses %s', (_name, text, message) => {
    expect(() => parseTemplate(text)).toThrow(message);
  });

  it('keeps its documents well formed whatever a value holds', () => {
    const hostile = '<T><A><![CDATA[x]]]]><![CDATA[><B>]]></A></T>';
    const again = parseTemplate(renderTemplate(parseTemplate(hostile)));
    expect(again).toEqual([{ name: 'A', value: 'x]]><B>' }]);
  });

  it('takes 8 MB of XML and refuses more than 10', () => {
    const xml = (size: number): string => `<T><A>${'x'.repeat(size)}</A></T>`;
    expect(parseTemplate(xml(8_000_000))).toHaveLength(1);
    expect(() => parseTemplate(xml(longestXml))).toThrow('XML Template malformed');
  });
});
