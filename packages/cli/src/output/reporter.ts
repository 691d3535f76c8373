import type { Clock, Timer } from '@oneflower/contract';
import type { Environment } from '@oneflower/control';
import type { Output } from '../context.ts';
import { type Colours, coloursFor } from './colours.ts';
import { formatDuration, safe } from './text.ts';

/** Says on stderr what is going on: lines that stay and, on a terminal, one line below that changes. */
export interface Reporter {
  line(text: string): void;
  warning(text: string): void;
  /** Replaces the live line; elsewhere than on a terminal it is not shown. */
  status(text: string): void;
  /** Removes the live line. */
  end(): void;
}

const tickMs = 1000;

export function createReporter(output: Output, environment: Environment, clock: Clock): Reporter {
  const colours = coloursFor(output, environment);
  return output.terminal ? createLiveReporter(output, colours, clock) : createPlainReporter(output);
}

function createPlainReporter(output: Output): Reporter {
  return {
    line: text => output.write(`${safe(text)}\n`),
    warning: text => output.write(`Warning: ${safe(text)}\n`),
    status() {},
    end() {},
  };
}

function createLiveReporter(output: Output, colours: Colours, clock: Clock): Reporter {
  let shown = '';
  let since = clock.now();
  let timer: Timer | undefined;
  function clear(): void {
    if (shown !== '') output.write('\r\x1b[K');
  }
  function draw(): void {
    timer?.cancel();
    timer = undefined;
    if (shown === '') return;
    const text = `${shown} (${formatDuration(clock.now() - since)})`;
    output.write(`\r\x1b[K${colours.dim(text.slice(0, output.columns - 1))}`);
    timer = clock.after(tickMs, draw);
  }
  function stay(text: string): void {
    clear();
    output.write(`${text}\n`);
    draw();
  }
  return {
    line: text => stay(safe(text)),
    warning: text => stay(`${colours.yellow('Warning:')} ${safe(text)}`),
    status(text) {
      if (text === shown) return;
      shown = safe(text).replaceAll('\n', ' ');
      since = clock.now();
      draw();
    },
    end() {
      clear();
      timer?.cancel();
      timer = undefined;
      shown = '';
    },
  };
}
