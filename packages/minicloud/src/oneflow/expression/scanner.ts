/**
 * Reads an expression from left to right and remembers what would have been accepted at the farthest place that
 * could not be read: the server's parse errors are exactly that list.
 */
export class Scanner {
  readonly text: string;
  position = 0;
  #farthest = 0;
  #expected: string[] = [];

  constructor(text: string) {
    this.text = text;
  }

  get atEnd(): boolean {
    return this.position >= this.text.length;
  }

  /** Takes `literal` if it comes next. */
  take(literal: string, quote = "'"): boolean {
    if (this.text.startsWith(literal, this.position)) {
      this.position += literal.length;
      return true;
    }
    this.#miss(quote + (quote === "'" ? literal.replaceAll("'", "\\'") : literal) + quote);
    return false;
  }

  /** Takes one character of a class; `name` is how the error lists the class. */
  takeClass(pattern: RegExp, name: string): string | undefined {
    const character = this.text.charAt(this.position);
    if (character !== '' && pattern.test(character)) {
      this.position += 1;
      return character;
    }
    this.#miss(name);
    return undefined;
  }

  /** Takes as many characters of a class as there are. */
  takeRun(pattern: RegExp, name: string): string {
    let run = '';
    for (;;) {
      const character = this.takeClass(pattern, name);
      if (character === undefined) return run;
      run += character;
    }
  }

  /** The server's sentence for an expression that could be read up to `read` characters (0: not even its start). */
  failure(read: number): string {
    const at = this.#farthest;
    const line = this.text.slice(0, at).split('\n');
    const column = (line.at(-1)?.length ?? 0) + 1;
    const list = this.#expected.length > 1 ? `one of ${this.#expected.join(', ')}` : (this.#expected[0] ?? '');
    const after = at > 0 ? ` after ${this.text.slice(Math.min(read, at), at)}` : '';
    return `Expected ${list} at line ${line.length}, column ${column} (byte ${at + 1})${after}`;
  }

  #miss(expected: string): void {
    if (this.position < this.#farthest) return;
    if (this.position > this.#farthest) {
      this.#farthest = this.position;
      this.#expected = [];
    }
    if (!this.#expected.includes(expected)) this.#expected.push(expected);
  }
}
