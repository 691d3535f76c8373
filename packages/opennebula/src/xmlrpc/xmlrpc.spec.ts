import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeCall, decodeResponse, encodeCall, encodeFault, encodeResponse, type XmlRpcValue } from './index.ts';

const text = fc.string({ unit: fc.nat({ max: 0xfffd }).map(code => String.fromCharCode(code)) }).map(sendable);
const number = fc.oneof(fc.maxSafeInteger(), fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }));
const value: fc.Arbitrary<XmlRpcValue> = fc.letrec<{ value: XmlRpcValue }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4 },
    text,
    number.map(item => (Object.is(item, -0) ? 0 : item)),
    fc.boolean(),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(fc.tuple(text, tie('value')), { maxLength: 4 }).map(pairs => Object.fromEntries(pairs)),
  ),
})).value;

function sendable(raw: string): string {
  return raw.replace(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD]/g, ' ');
}

function call(valueXml: string): string {
  return `<methodCall><methodName>m</methodName><params><param>${valueXml}</param></params></methodCall>`;
}

describe('XML-RPC codec', () => {
  it('gives back every value that it encoded', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 3 }), params => {
        expect(decodeCall(encodeCall('one.vm.info', params))).toEqual({ method: 'one.vm.info', params });
      }),
    );
    fc.assert(
      fc.property(value, item => {
        expect(decodeResponse(encodeResponse(item))).toEqual({ value: item });
      }),
    );
    fc.assert(
      fc.property(fc.integer(), text, (code, message) => {
        expect(decodeResponse(encodeFault({ code, message }))).toEqual({ fault: { code, message } });
      }),
    );
  });

  it.each([
    ['blanks and newlines at both ends', '<value><string> \n a \n </string></value>', ' \n a \n '],
    ['a carriage return as a reference', '<value><string>a&#13;b&#x0D;</string></value>', 'a\rb\r'],
    ['line ends, which XML unifies', '<value><string>a\r\nb</string></value>', 'a\nb'],
    ['CDATA beside text', '<value><string>1 <![CDATA[<&amp;>]]> &lt;</string></value>', '1 <&amp;> <'],
    ['a comment inside', '<value><string>a<!-- no -->b</string></value>', 'ab'],
    ['digits in a string', '<value><string>007</string></value>', '007'],
    ['true in a string', '<value><string>true</string></value>', 'true'],
    ['no type: a string', '<value> 1 </value>', ' 1 '],
    ['an empty value', '<value/>', ''],
    ['an empty string', '<value><string/></value>', ''],
    ['a string of blanks', '<value><string>  </string></value>', '  '],
    ['int', '<value>\n<int> 5 </int>\n</value>', 5],
    ['i8', '<value><i8>-9007199254740991</i8></value>', -9007199254740991],
    ['double', '<value><double>-1.5</double></value>', -1.5],
    ['a doubly encoded ampersand', '<value><string>&amp;amp;</string></value>', '&amp;'],
  ])('reads %s', (_name, xml, expected) => {
    expect(decodeCall(call(xml)).params).toEqual([expected]);
  });

  it("reads a call laid out as Python's standard client lays it out", () => {
    const params =
      '<param>\n<value><string>a:b</string></value>\n</param>\n<param>\n<value><int>-1</int></value>\n</param>\n';
    const xml = `<?xml version='1.0'?>\n<methodCall>\n<methodName>one.vm.info</methodName>\n<params>\n${params}</params>\n</methodCall>\n`;
    expect(decodeCall(xml)).toEqual({ method: 'one.vm.info', params: ['a:b', -1] });
  });

  it('keeps a member called __proto__ as data', () => {
    const xml = call('<value><struct><member><name>__proto__</name><value>x</value></member></struct></value>');
    const [struct] = decodeCall(xml).params;
    expect(Object.entries(struct ?? {})).toEqual([['__proto__', 'x']]);
  });

  it.each([
    ['nothing', ''],
    ['text', 'hello'],
    ['a cut document', '<methodCall><methodName>one.vm.info</methodName>'],
    ['another document', '<html><body>Not found</body></html>'],
    ['an answer', encodeResponse(true)],
    ['two roots', `${encodeCall('m', [])}<b/>`],
    ['no method name', '<methodCall><params/></methodCall>'],
    ['an unknown type', call('<value><nil/></value>')],
    ['an element in a string', call('<value><string>a<b/></string></value>')],
    ['a string in a string', call('<value><string>a<string>b</string></string></value>')],
    ['two types', call('<value><int>1</int><int>2</int></value>')],
    ['a long i4', call('<value><i4>2147483648</i4></value>')],
    ['a word as int', call('<value><i4>seven</i4></value>')],
    ['boolean true', call('<value><boolean>true</boolean></value>')],
    ['an undeclared entity', call('<value>&nbsp;</value>')],
    ['a bare ampersand', call('<value>a & b</value>')],
    ['a NUL', call('<value>\u0000</value>')],
    ['a reference to NUL', call('<value>&#0;</value>')],
    ['a declared entity', `<!DOCTYPE m [<!ENTITY a "b">]>${call('<value>&a;</value>')}`],
    ['endless depth', `${'<value><array><data>'.repeat(500)}${'</data></array></value>'.repeat(500)}`],
  ])('refuses %s as malformed', (_name, xml) => {
    expect(() => decodeCall(xml)).toThrow(expect.objectContaining({ code: 'xmlrpc-malformed' }));
    expect(() => decodeResponse(xml === encodeResponse(true) ? 'x' : xml)).toThrow(
      expect.objectContaining({ code: 'xmlrpc-malformed' }),
    );
  });

  it('tells a character that oned refuses from broken XML', () => {
    expect(() => decodeCall(call('<value>🙂</value>'))).toThrow(expect.objectContaining({ code: 'xmlrpc-character' }));
  });

  it('refuses a document of more than 64 Mi characters unread', () => {
    const huge = call(`<value>${'x'.repeat(64 * 1024 * 1024)}</value>`);
    expect(() => decodeCall(huge)).toThrow(expect.objectContaining({ code: 'xmlrpc-too-large' }));
  });

  it('carries an 8 MB text', () => {
    const long = 'A="<>&"\n'.repeat(1024 * 1024);
    expect(decodeCall(encodeCall('m', [long])).params).toEqual([long]);
  });

  it.each(['\u0000', 'a\u0007', '🙂', '\uD800', '\uFFFF'])('refuses to send %j', bad => {
    expect(() => encodeCall('m', [bad])).toThrow(expect.objectContaining({ code: 'unsendable-character' }));
    expect(() => encodeCall('m', [{ [bad]: 1 }])).toThrow(expect.objectContaining({ code: 'unsendable-character' }));
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('refuses to send %d', bad => {
    expect(() => encodeCall('m', [bad])).toThrow(expect.objectContaining({ code: 'xmlrpc-number' }));
  });
});
