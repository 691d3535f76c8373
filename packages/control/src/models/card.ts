import type { ModelManifest } from '@oneflower/contract';
import * as z from 'zod';

const numbers = z.record(z.string(), z.number());
const scalars = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));

/** What apps tell of a model, as far as a card shows it. Of what is not as it should be nothing is shown. */
const Details = z.object({
  title: z.string().nullish().catch(null),
  framework: z.string().nullish().catch(null),
  strategy: z.string().nullish().catch(null),
  strategy_parameters: scalars.catch({}).default({}),
  num_rounds: z.int().nullish().catch(null),
  best: z.object({ round: z.int(), metric: z.string(), value: z.number() }).nullish().catch(null),
  node_examples: numbers.catch({}).default({}),
  privacy: numbers.catch({}).default({}),
  versions: z.record(z.string(), z.string()).catch({}).default({}),
  history: z
    .array(z.object({ round: z.int(), metrics: numbers, seconds: z.number().catch(0) }))
    .catch([])
    .default([]),
});

/** A model card, as a document for programs. */
export interface ModelCard {
  runId: string;
  app: string;
  round: number;
  rounds: number | null;
  framework: string | null;
  strategy: string | null;
  strategyParameters: Record<string, string | number | boolean>;
  /** Rows that each node trained with in the last round, by node id. */
  nodeExamples: Record<string, number>;
  metrics: Record<string, number>;
  best: { round: number; metric: string; value: number } | null;
  /**
   * Budget spent (`privacy_epsilon`, absent where nothing bounds it) and what it was computed with
   * (`privacy_clipping_norm`, `privacy_noise_multiplier`, `privacy_delta`, absent in manifests of earlier releases);
   * empty where updates were not clipped.
   */
  privacy: Record<string, number>;
  versions: Record<string, string>;
  history: { round: number; metrics: Record<string, number> }[];
  savedAt: string;
  file: { format: string; bytes: number; sha256: string };
}

/** The card of a model, for the file that was downloaded. */
export function modelCard(manifest: ModelManifest, file: ModelCard['file']): ModelCard {
  const details = Details.parse(manifest.details);
  return {
    runId: manifest.runId,
    app: manifest.app,
    round: manifest.round,
    rounds: details.num_rounds ?? null,
    framework: details.framework ?? null,
    strategy: details.strategy ?? null,
    strategyParameters: details.strategy_parameters,
    nodeExamples: details.node_examples,
    metrics: manifest.metrics,
    best: details.best ?? null,
    privacy: details.privacy,
    versions: { flower: manifest.flowerVersion, ...details.versions },
    history: details.history.map(({ round, metrics }) => ({ round, metrics })),
    savedAt: manifest.savedAt,
    file,
  };
}

/** Rounds that a card in Markdown shows at most. */
const mostRounds = 25;

/** The card as Markdown. */
export function renderCard(card: ModelCard): string {
  const of = card.rounds === null ? '' : ` of ${card.rounds}`;
  const sections = [
    `# ${text(card.app)}, run ${text(card.runId)}, round ${card.round}${of}`,
    facts([
      ['Strategy', withParameters(card)],
      ['Framework', card.framework ?? 'not told'],
      ['Saved', card.savedAt],
      ['File', `${card.file.format}, ${card.file.bytes} bytes, SHA-256 ${card.file.sha256}`],
      [
        'Best round',
        card.best === null ? 'not told' : `${card.best.round} (${card.best.metric} ${shown(card.best.value)})`,
      ],
    ]),
    section('Metrics', numberTable(['Metric', 'Value'], card.metrics)),
    section('Data', dataTable(card.nodeExamples)),
    section('Privacy', privacyText(card.privacy)),
    section('Rounds', curveTable(card.history)),
    section('Versions', facts(Object.entries(card.versions))),
  ];
  return `${sections.join('\n\n')}\n`;
}

function withParameters({ strategy, strategyParameters }: ModelCard): string {
  const parameters = Object.entries(strategyParameters).map(([name, value]) => `${name} ${value}`);
  return `${strategy ?? 'not told'}${parameters.length === 0 ? '' : ` (${parameters.join(', ')})`}`;
}

function dataTable(nodeExamples: Readonly<Record<string, number>>): string {
  const nodes = Object.entries(nodeExamples);
  if (nodes.length === 0) return 'How much data the nodes have was not told.';
  const sum = nodes.reduce((total, [, examples]) => total + examples, 0);
  return numberTable(['Node', 'Examples in training'], { ...nodeExamples, [`All ${nodes.length}`]: sum });
}

function privacyText(privacy: Readonly<Record<string, number>>): string {
  if (Object.keys(privacy).length === 0) return 'Trained without differential privacy.';
  const values = numberTable(['What', 'Value'], privacy);
  if (privacy.privacy_epsilon !== undefined) return values;
  const why =
    (privacy.privacy_noise_multiplier ?? 0) > 0
      ? 'No privacy budget can be told: nothing bounds what the rounds have let out.'
      : 'Updates were clipped, but there was no noise: this is no differential privacy.';
  return `${why}\n\n${values}`;
}

function curveTable(history: ModelCard['history']): string {
  if (history.length === 0) return 'The rounds were not told.';
  const names = [...new Set(history.flatMap(({ metrics }) => Object.keys(metrics)))];
  const step = Math.ceil(history.length / mostRounds);
  const rows = history.filter((_, index) => index % step === 0 || index === history.length - 1);
  return table(
    ['Round', ...names],
    rows.map(({ round, metrics }) => [String(round), ...names.map(name => shown(metrics[name]))]),
  );
}

function numberTable(head: [string, string], values: Readonly<Record<string, number>>): string {
  const rows = Object.entries(values).map(([name, value]) => [name, shown(value)]);
  return rows.length === 0 ? 'None were told.' : table(head, rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(text).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function facts(pairs: readonly (readonly [string, string])[]): string {
  return pairs.map(([name, value]) => `- ${text(name)}: ${text(value)}`).join('\n');
}

function section(title: string, body: string): string {
  return `## ${title}\n\n${body}`;
}

function shown(value: number | undefined): string {
  if (value === undefined) return '';
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
}

/** Names come from apps: they must not break a table, nor be taken for markup. */
function text(value: string): string {
  return value.replace(/[\0-\x1f\x7f-\x9f]/g, ' ').replace(/[\\|<>`*[\]]/g, '\\$&');
}
