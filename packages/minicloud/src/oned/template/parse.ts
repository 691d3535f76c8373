import { type Attribute, attributeName, type Template } from './attributes.ts';
import { Lexer, type Token, type TokenKind } from './lexer.ts';
import { parseXmlTemplate } from './xml.ts';

/** The longest XML text that is read; longer ones are called malformed (seen: 8 MB passes, over 10 MB does not). */
export const longestXml = 10_000_000;

/** A text that is no template. The message is oned's, without the method in front. */
export class TemplateError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TemplateError';
  }
}

function fail(token: Token, ...expected: TokenKind[]): never {
  const names = expected.map(name => (name === 'STRING' && expected.length === 2 ? 'CCDATA or STRING' : name));
  throw new TemplateError(
    `Parse error: syntax error, unexpected ${token.kind}, expecting ${names.join(' or ')} at line 0, columns 0:0`,
  );
}

function readPairs(lexer: Lexer): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (;;) {
    const name = lexer.next();
    if (name.kind !== 'VARIABLE') fail(name, 'VARIABLE');
    const equal = lexer.next();
    if (equal.kind === 'EQUAL_EMPTY') {
      pairs[attributeName(name.text)] = '';
    } else {
      if (equal.kind !== 'EQUAL') fail(equal, 'EQUAL', 'EQUAL_EMPTY');
      const value = lexer.next();
      if (value.kind !== 'STRING') fail(value, 'STRING');
      pairs[attributeName(name.text)] = value.text;
    }
    const mark = lexer.next();
    if (mark.kind === 'CBRACKET') return pairs;
    if (mark.kind !== 'COMMA') fail(mark, 'CBRACKET', 'COMMA');
  }
}

function readAttribute(lexer: Lexer, name: Token): Attribute {
  if (name.kind !== 'VARIABLE') fail(name, 'VARIABLE');
  const attribute = attributeName(name.text);
  const equal = lexer.next();
  if (equal.kind === 'EQUAL_EMPTY') return { name: attribute, value: '' };
  if (equal.kind !== 'EQUAL') fail(equal, 'EQUAL', 'EQUAL_EMPTY');
  const value = lexer.next();
  if (value.kind === 'STRING') return { name: attribute, value: value.text };
  if (value.kind === 'OBRACKET') return { name: attribute, value: readPairs(lexer) };
  return fail(value, 'OBRACKET', 'STRING');
}

/**
 * Reads a template in oned's own notation, or in XML when it starts with `<`. Throws {@link TemplateError} with
 * the words of the real server; its line numbers are meaningless there and 0 here.
 */
export function parseTemplate(text: string): Template {
  if (/^\s*</.test(text)) {
    const parsed = text.length > longestXml ? undefined : parseXmlTemplate(text);
    if (!parsed) throw new TemplateError('Parse error: XML Template malformed.');
    return parsed;
  }
  if (text.includes(']]>')) throw new TemplateError('Parse error.');
  const lexer = new Lexer(text);
  const template: Attribute[] = [];
  for (let token = lexer.next(); token.kind !== '$end'; token = lexer.next()) {
    template.push(readAttribute(lexer, token));
  }
  return template;
}
