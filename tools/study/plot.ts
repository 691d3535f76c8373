import type { StudyTable } from './document.ts';

const panel = { width: 420, height: 300, left: 48, right: 16, top: 36, bottom: 44 } as const;
const legendLine = 20;
const legendWidth = 140;
// Colours that people with colour blindness tell apart (Okabe and Ito, Color universal design); dashes for the rest.
const colours = ['#000000', '#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'] as const;
const dashes = ['', '6 3', '2 3', '8 3 2 3', '4 4', '1 2'] as const;
const ticks = [0, 0.2, 0.4, 0.6, 0.8, 1] as const;

/** Tables of numbers from 0 to 1 as an SVG picture: one panel of lines for each table, one legend for all. */
export function plot(tables: readonly StudyTable[], title: string): string {
  const names = [...new Set(tables.flatMap(({ series }) => series.map(({ name }) => name)))];
  const width = tables.length * panel.width + legendWidth;
  const height = Math.max(panel.height, panel.top + names.length * legendLine);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" font-family="sans-serif" font-size="12">`,
    `<title>${escapeXml(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...tables.map((table, place) => drawPanel(table, names, place * panel.width)),
    ...names.map((name, place) => drawLegend(name, place, tables.length * panel.width)),
    '</svg>',
    '',
  ].join('\n');
}

function drawPanel({ title, axis, points, series }: StudyTable, names: readonly string[], left: number): string {
  const middle = (panel.left + panel.width - panel.right) / 2;
  return [
    `<g transform="translate(${left} 0)">`,
    `<text x="${middle}" y="20" text-anchor="middle" font-weight="bold">${escapeXml(title)}</text>`,
    ...ticks.map(drawTick),
    ...points.map(
      (point, place) =>
        `<text x="${round(across(place, points.length))}" y="${panel.height - panel.bottom + 18}" text-anchor="middle">${escapeXml(point)}</text>`,
    ),
    `<text x="${middle}" y="${panel.height - 8}" text-anchor="middle">${escapeXml(axis)}</text>`,
    ...series.map(({ name, values }) => drawLine(values, names.indexOf(name), points.length)),
    '</g>',
  ].join('\n');
}

function drawTick(value: number): string {
  const y = round(down(value));
  const line = `<line x1="${panel.left}" x2="${panel.width - panel.right}" y1="${y}" y2="${y}" stroke="#dddddd"/>`;
  return `${line}<text x="${panel.left - 8}" y="${y + 4}" text-anchor="end">${value}</text>`;
}

function drawLine(values: readonly number[], style: number, points: number): string {
  const places = values.map((value, place) => ({ x: round(across(place, points)), y: round(down(value)) }));
  const path = places.map(({ x, y }) => `${x},${y}`).join(' ');
  const dots = places.map(({ x, y }) => `<circle cx="${x}" cy="${y}" r="3" fill="${colour(style)}"/>`).join('');
  return `<polyline points="${path}" fill="none" ${stroke(style)}/>${dots}`;
}

function drawLegend(name: string, style: number, left: number): string {
  const y = panel.top + 8 + style * legendLine;
  const line = `<line x1="${left}" x2="${left + 28}" y1="${y}" y2="${y}" ${stroke(style)}/>`;
  return `${line}<text x="${left + 34}" y="${y + 4}">${escapeXml(name)}</text>`;
}

function across(place: number, points: number): number {
  const span = panel.width - panel.left - panel.right;
  return panel.left + (span * (place + 0.5)) / points;
}

function down(value: number): number {
  return panel.top + (panel.height - panel.top - panel.bottom) * (1 - value);
}

function colour(style: number): string {
  return colours[style % colours.length] ?? colours[0];
}

function stroke(style: number): string {
  return `stroke="${colour(style)}" stroke-width="2" stroke-dasharray="${dashes[style % dashes.length] ?? ''}"`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
