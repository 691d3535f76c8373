/** The words of the template language. The names are those that oned's parse errors print. */
export type TokenKind = 'VARIABLE' | 'EQUAL' | 'EQUAL_EMPTY' | 'OBRACKET' | 'CBRACKET' | 'COMMA' | 'STRING' | '$end';

/** A word with its text, where it has one. */
export interface Token {
  kind: TokenKind;
  text: string;
}

const emptyValue = /=[ \t]*\r?\n/y;
const nameWord = /[A-Za-z0-9_]+/y;
const commentLine = /[ \t]*#[^\n]*/y;
const bareWord = /[^ \t\r\n,=[\]]+/y;

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

/**
 * Where the quoted value that opens at `at` ends: at the first quote that no backslash precedes. A double
 * backslash before the quote protects it too, because oned looks at one character only. -1 when it never ends.
 */
function closingQuote(text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    if (text[end - 1] !== '\\' || end === at + 1) return end;
  }
  return -1;
}

/** Splits a template text into words, one at a time. */
export class Lexer {
  readonly #text: string;
  #at = 0;
  /** After `=` a value is read, everywhere else names and marks. */
  #value = false;

  constructor(text: string) {
    this.#text = text;
  }

  next(): Token {
    return this.#value ? this.#nextValue() : this.#nextMark();
  }

  #take(kind: TokenKind, length: number, text = ''): Token {
    this.#at += length;
    return { kind, text };
  }

  #nextMark(): Token {
    const text = this.#text;
    while (this.#at < text.length) {
      const atLineStart = this.#at === 0 || text[this.#at - 1] === '\n';
      const comment = atLineStart ? matchAt(commentLine, text, this.#at) : undefined;
      if (comment) {
        this.#at += comment.length;
        continue;
      }
      const name = matchAt(nameWord, text, this.#at);
      if (name) return this.#take('VARIABLE', name.length, name);
      const empty = matchAt(emptyValue, text, this.#at);
      if (empty) return this.#take('EQUAL_EMPTY', empty.length);
      const mark = text[this.#at];
      if (mark === '=') {
        this.#value = true;
        return this.#take('EQUAL', 1);
      }
      if (mark === ']') return this.#take('CBRACKET', 1);
      if (mark === ',') return this.#take('COMMA', 1);
      // Anything else between the words is passed over, as the original does.
      this.#at += 1;
    }
    return { kind: '$end', text: '' };
  }

  #nextValue(): Token {
    const text = this.#text;
    while (text[this.#at] === ' ' || text[this.#at] === '\t') this.#at += 1;
    if (this.#at >= text.length) return { kind: '$end', text: '' };
    this.#value = false;
    if (text[this.#at] === '[') return this.#take('OBRACKET', 1);
    const bare = matchAt(bareWord, text, this.#at);
    const end = text[this.#at] === '"' ? closingQuote(text, this.#at) : -1;
    // The longer one counts, as in every generated scanner: `"{"x":1}"` is one bare word, quotes included.
    if (end >= 0 && end + 1 - this.#at >= (bare?.length ?? 0)) {
      const quoted = text.slice(this.#at + 1, end);
      return this.#take('STRING', end + 1 - this.#at, quoted.replaceAll('\\"', '"'));
    }
    return bare ? this.#take('STRING', bare.length, bare.replaceAll('\\"', '"')) : this.#nextMark();
  }
}
