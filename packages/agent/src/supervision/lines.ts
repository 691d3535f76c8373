import type { Readable } from 'node:stream';

/** A line that is longer comes in pieces. */
const longestLine = 16_384;

/** Hands over the text of a stream line by line, without line ends and terminal colours. */
export function eachLine(stream: Readable, take: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split(/\r?\n/);
    rest = lines.pop() ?? '';
    for (const line of lines) take(plain(line));
    while (rest.length > longestLine) {
      take(plain(rest.slice(0, longestLine)));
      rest = rest.slice(longestLine);
    }
  });
  stream.on('end', () => {
    if (rest !== '') take(plain(rest));
  });
  stream.on('error', () => undefined);
}

function plain(line: string): string {
  return line.replace(/\x1b\[[0-9;]*[A-Za-z]/g, '');
}
