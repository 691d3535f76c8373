// Who may import whom, as docs/architecture.md draws it. Packages meet only by their names and in these directions.
const may = {
  contract: [],
  opennebula: ['contract'],
  minicloud: ['contract', 'opennebula'],
  agent: ['contract', 'opennebula'],
  control: ['contract', 'opennebula'],
  cli: ['contract', 'control', 'minicloud'],
};

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    ...Object.entries(may).map(([name, allowed]) => ({
      name: `${name}-imports`,
      severity: 'error',
      from: { path: `^packages/${name}/` },
      to: { path: '^packages/', pathNot: `^packages/(${[name, ...allowed].join('|')})/` },
    })),
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-tests-in-sources',
      severity: 'error',
      from: { pathNot: '\\.spec\\.ts$|^tests/|/testing/' },
      to: { path: '\\.spec\\.ts$|^tests/' },
    },
    {
      name: 'contract-does-no-io',
      severity: 'error',
      from: { path: '^packages/contract/src', pathNot: '\\.spec\\.ts$' },
      to: { path: '^(node:)?(fs|http|https|child_process|dgram|tls)' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: 'tests/recordings' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
