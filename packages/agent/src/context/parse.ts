import { failure } from '../failure.ts';

/**
 * Reads the `context.sh` of a CONTEXT CD: `NAME='value'` lines as oned writes them, where a quote inside a value
 * stands as `'\''` and a value may span lines. It is only ever read, never run: `$()` and backticks are text.
 *
 * @throws OneFlowerError `context_unreadable` with the line that is no assignment.
 */
export function parseContext(text: string): Map<string, string> {
  const values = new Map<string, string>();
  let at = 0;
  while (at < text.length) {
    const lineEnd = endOfLine(text, at);
    const line = text.slice(at, Math.min(lineEnd, at + 200));
    if (/^\s*(#|$)/.test(line)) {
      at = lineEnd + 1;
      continue;
    }
    const name = /^(?:export )?([A-Za-z_][A-Za-z0-9_]*)=/.exec(line);
    if (!name?.[1]) throw damaged(text, at);
    const value = readQuoted(text, at + name[0].length);
    values.set(name[1], value.text);
    at = value.end;
  }
  return values;
}

interface Quoted {
  text: string;
  /** Where the next line begins. */
  end: number;
}

function readQuoted(text: string, start: number): Quoted {
  const pieces: string[] = [];
  let at = start;
  for (;;) {
    if (text[at] !== "'") throw damaged(text, start);
    const close = text.indexOf("'", at + 1);
    if (close === -1) throw damaged(text, start);
    pieces.push(text.slice(at + 1, close));
    at = close + 1;
    if (text.startsWith("\\''", at)) {
      pieces.push("'");
      at += 2;
      continue;
    }
    const lineEnd = endOfLine(text, at);
    if (text.slice(at, lineEnd).trim() !== '') throw damaged(text, at);
    return { text: pieces.join(''), end: lineEnd + 1 };
  }
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end === -1 ? text.length : end;
}

function damaged(text: string, at: number): Error {
  let line = 1;
  for (let next = text.indexOf('\n'); next !== -1 && next < at; next = text.indexOf('\n', next + 1)) line++;
  return failure('context_unreadable', `Line ${line} of context.sh is not NAME='value'.`);
}
