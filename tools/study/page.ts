import type { StudyDocument, StudyTable } from './document.ts';
import type { Study } from './studies.ts';

/** The Markdown page of a study; its picture lies beside it as `NAME.svg`. */
export function studyPage(name: string, { title, text }: Study, { settings, tables }: StudyDocument): string {
  return [
    `# ${title}`,
    '',
    ...text.flatMap(paragraph => [paragraph, '']),
    `![${title}](${name}.svg)`,
    '',
    ...tables.flatMap(tableSection),
    '## How it was made',
    '',
    `\`npm run study -- ${name}\` makes this page again, in a few minutes on one core: the app \`image-classification\` on scikit-learn, each federation in one process. The same seeds give the same figures with the same releases of the packages that \`flower/requirements.lock\` names.`,
    '',
    ...settings.map(setting => `- ${setting}`),
    '',
  ].join('\n');
}

function tableSection({ title, axis, points, series }: StudyTable): string[] {
  return [
    `## ${title}`,
    '',
    `| strategy \\ ${axis} | ${points.join(' | ')} |`,
    `| --- |${' --- |'.repeat(points.length)}`,
    ...series.map(({ name, values }) => `| ${name} | ${values.map(value => value.toFixed(3)).join(' | ')} |`),
    '',
  ];
}
