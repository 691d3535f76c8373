import { describe, expect, it } from 'vitest';
import { renderCoveragePage } from './coverage-page.ts';

describe('the page of covered recordings', () => {
  it('counts every recorded exchange and gives a reason for each that is left out', () => {
    const page = renderCoveragePage();
    const counts = [...page.matchAll(/^\| (\w+) \| (\d+) \| (\d+) \|$/gm)].map(([, area, all, replayed]) => ({
      area,
      all: Number(all),
      replayed: Number(replayed),
    }));
    expect(counts.map(({ area }) => area)).toEqual(['xmlrpc', 'oneflow', 'onegate', 'http', 'cli']);
    expect(counts.reduce((total, { all }) => total + all, 0)).toBe(813);
    const left = page.split('## Not replayed')[1]?.split('##')[0] ?? '';
    const rows = [...left.matchAll(/^\| \w+\/\S+ \| .+ \|$/gm)];
    expect(rows).toHaveLength(counts.reduce((total, { all, replayed }) => total + all - replayed, 0));
  });
});
