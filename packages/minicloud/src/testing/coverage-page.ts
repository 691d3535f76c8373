import { gaps } from '../oneflow/coverage.ts';
import { comparedWithout, excluded } from '../onegate/coverage.ts';
import { coverage, cuts } from './coverage.ts';
import { recordingsOf } from './recordings.ts';

const areas = ['xmlrpc', 'oneflow', 'onegate', 'http', 'cli'];

interface Left {
  name: string;
  reason: string;
}

function notReplayed(): Left[] {
  return [
    ...coverage.map(({ area, stem, reason }) => ({ name: `${area}/${stem}`, reason })),
    ...Object.entries(excluded).map(([name, reason]) => ({ name, reason })),
  ];
}

function comparedInPart(): Left[] {
  return [
    ...gaps.map(({ area, stem, compared, reason }) => ({ name: `${area}/${stem} (${compared} only)`, reason })),
    ...Object.entries(comparedWithout).map(([name, { names, reason }]) => ({
      name: `${name} (without ${names.join(', ')})`,
      reason,
    })),
  ];
}

function table(head: string, rows: readonly Left[]): string[] {
  return [`| ${head} | why |`, '| --- | --- |', ...rows.map(({ name, reason }) => `| ${name} | ${reason} |`)];
}

function counts(): string[] {
  const left = notReplayed();
  return areas.map(area => {
    const all = recordingsOf(area).length;
    const missing = left.filter(({ name }) => name.startsWith(`${area}/`)).length;
    return `| ${area} | ${all} | ${all - missing} |`;
  });
}

/** The page that says which recorded exchanges the embedded cloud answers alike, from the tables of the replays. */
export function renderCoveragePage(): string {
  const cutRows = cuts.map(({ elements, stems, reason }) => ({
    name: elements.join(', ') + (stems ? ` (in ${stems.join(', ')})` : ''),
    reason,
  }));
  return [
    '# What the embedded cloud answers like a real OpenNebula',
    '',
    'The contract tests send every recorded request to the embedded cloud, in the recorded order, and compare status,',
    'headers and body with the recorded response. Times, dates, tokens, uuids and request numbers are blanked on both sides.',
    '',
    '| area | recorded exchanges | replayed |',
    '| --- | --- | --- |',
    ...counts(),
    '',
    '## Not replayed',
    '',
    ...table('exchange', notReplayed()),
    '',
    '## Compared in part',
    '',
    ...table('exchange', comparedInPart()),
    '',
    "## Elements of oned's documents that are not compared",
    '',
    ...table('elements', cutRows),
    '',
  ].join('\n');
}
