import { availableParallelism, cpus, totalmem } from 'node:os';
import type { Bench, Figure } from './types.ts';

/** What one bench has measured. */
export interface Measured {
  bench: string;
  what: Bench['what'];
  /** Day, as 2026-01-31. */
  date: string;
  figures: Figure[];
}

/** All measurements, as `npm run bench -- --json` prints them. */
export interface Report {
  schemaVersion: 1;
  machine: string;
  measured: Measured[];
}

/** The kind of machine, without its name. */
export function machineKind(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  return `${availableParallelism()} cores (${model}), ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
}

/** A figure as people read it. */
export function textOf({ value, unit }: Figure): string {
  return unit === '' ? String(value) : `${value} ${unit}`;
}

/** `docs/figures.md` of a report: benches that were not run now keep the sections that `before` has. */
export function figuresPage({ machine, measured }: Report, benches: readonly string[], before: string): string {
  const sections = benches.flatMap(bench => {
    const now = measured.find(each => each.bench === bench);
    const section = now ? sectionOf(now) : sectionIn(before, bench);
    return section ? [section] : [];
  });
  return [
    '# Figures',
    '',
    'What `npm run bench` has printed; `npm run bench -- --write` measures all and writes this page, with names of',
    'benches only their sections. What is compared was measured side by side in one run: the ratios count, the seconds',
    'are those of one machine and of what else it did.',
    '',
    `Machine: ${machine}.`,
    '',
    ...sections,
  ].join('\n');
}

function sectionOf({ bench, what, date, figures }: Measured): string {
  return [
    `## ${bench}`,
    '',
    `\`npm run bench -- ${bench}\`, ${date}: ${what}.`,
    '',
    '| figure | value | goal |',
    '| --- | --- | --- |',
    ...figures.map(figure => `| ${figure.name} | ${textOf(figure)} | ${figure.goal ?? ''} |`),
    '',
  ].join('\n');
}

function sectionIn(page: string, bench: string): string | undefined {
  return page.split(/^(?=## )/m).find(section => section.startsWith(`## ${bench}\n`));
}
