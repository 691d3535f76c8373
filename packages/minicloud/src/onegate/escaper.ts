/**
 * What OneGate makes of a body before oned sees it: it puts double quotes around unquoted values, with a small scanner
 * that knows neither escapes nor where a quoted value ends. What that breaks (commas, brackets, `=` in quotes, JSON) is
 * part of the protocol: 115 bodies and what became of them are recorded in `onegate/put-results.json`.
 */
export function requote(body: string): string {
  const scanner = new Scanner(body.replaceAll('\r\n', '\n').replaceAll('\\n', '\n'));
  return scanner.run();
}

class Scanner {
  readonly #source: string;
  /** Characters and inserted pieces: a string that grows by one is slow to look at from its end. */
  readonly #out: string[] = [];
  /** A quote was put in after `=` and none has closed it. */
  #open = false;
  #inVector = false;
  /** The line has had its `=`: its end closes a value. */
  #lineHasValue = false;

  constructor(source: string) {
    this.#source = source;
  }

  run(): string {
    for (let at = 0; at < this.#source.length; at++) at = this.#take(at);
    if (this.#open) this.#close();
    return this.#out.join('');
  }

  /** Handles the character at `at`; returns the place of the last one that it used up. */
  #take(at: number): number {
    const character = this.#source.charAt(at);
    if (character === '=' && !this.#open) return this.#takeEqual(at);
    if (character === '\n') return this.#takeNewline(at);
    if (character === '[' && this.#source[at - 1] === '=') this.#inVector = true;
    else if (',[]\\'.includes(character)) this.#takeBreak(at, character);
    this.#out.push(character);
    return at;
  }

  #takeEqual(at: number): number {
    this.#out.push('=');
    this.#lineHasValue = true;
    const next = this.#source[at + 1];
    if (next === '"' || next === '[') return at;
    let last = at;
    while (isBlank(this.#source[last + 1])) last++;
    if (this.#source[last + 1] === '\n') {
      // oned reads `A=` before a line end as an empty value; a quote here would swallow the next line.
      this.#lineHasValue = false;
      return last;
    }
    this.#out.push('"');
    this.#open = true;
    // Blanks around a value are gone once oned has it; before a quote they break it, so they stay there.
    return this.#source[last + 1] === '"' ? at : last;
  }

  #takeNewline(at: number): number {
    if (this.#lineHasValue && this.#source[at - 1] !== '"') this.#close();
    this.#out.push('\n');
    this.#open = false;
    this.#lineHasValue = false;
    return at;
  }

  #takeBreak(at: number, character: string): void {
    if (this.#source[at - 1] !== '"') this.#close();
    if (character === '\\' || character === ']' || this.#inVector) this.#open = false;
    if (character === ']') this.#inVector = false;
  }

  #close(): void {
    while (this.#open && isBlank(this.#out.at(-1))) this.#out.pop();
    if (this.#open && this.#out.at(-1) === '"') return;
    this.#out.push('"');
  }
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t' || character === '\r';
}
