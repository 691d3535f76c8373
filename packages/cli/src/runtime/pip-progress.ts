/** What pip says while it installs, read for how far it is. */
export interface PipProgress {
  /** Takes a line of pip's output. */
  heed(line: string): void;
  /** What pip is at, such as `package 12 of 40: torch (188.4 MB)`; undefined before it has begun. */
  describe(): string | undefined;
}

/** @param packages how many packages will be installed. */
export function createPipProgress(packages: number): PipProgress {
  let collected = 0;
  let name = '';
  let size = '';
  let unpacking = false;
  return {
    heed(line) {
      const collecting = /^Collecting ([A-Za-z0-9._-]+)/.exec(line)?.[1];
      if (collecting !== undefined) {
        collected++;
        name = collecting;
        size = '';
      }
      size = /^\s*(?:Downloading|Using cached) \S+ \(([\d.]+ [kKMG]?B)\)/.exec(line)?.[1] ?? size;
      if (line.startsWith('Installing collected packages')) unpacking = true;
    },
    describe() {
      if (unpacking) return `unpacking ${packages} packages`;
      if (collected === 0) return undefined;
      return `package ${collected} of ${packages}: ${name}${size === '' ? '' : ` (${size})`}`;
    },
  };
}
