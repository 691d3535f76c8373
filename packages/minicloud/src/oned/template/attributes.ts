/** A vector attribute's pairs, names in upper case. */
export type Pairs = Readonly<Record<string, string>>;

/** One attribute of a template: a single value or a vector. */
export interface Attribute {
  readonly name: string;
  readonly value: string | Pairs;
}

/** A template as oned keeps it: names may repeat, order matters only among equal names. */
export type Template = readonly Attribute[];

/** An attribute name as oned stores it: upper case, and `ONE_` before a leading digit. */
export function attributeName(name: string): string {
  const upper = name.toUpperCase();
  return /^[0-9]/.test(upper) ? `ONE_${upper}` : upper;
}

/** The first single value of that name. */
export function single(template: Template, name: string): string | undefined {
  for (const attribute of template) {
    if (attribute.name === name && typeof attribute.value === 'string') return attribute.value;
  }
  return undefined;
}

/** All vectors of that name, in the order given. */
export function vectors(template: Template, name: string): Pairs[] {
  const found: Pairs[] = [];
  for (const attribute of template) {
    if (attribute.name === name && typeof attribute.value !== 'string') found.push(attribute.value);
  }
  return found;
}

/** The first vector of that name. */
export function vector(template: Template, name: string): Pairs | undefined {
  return vectors(template, name)[0];
}

/** The template without any attribute of these names. */
export function without(template: Template, ...names: string[]): Template {
  return template.filter(attribute => !names.includes(attribute.name));
}

/** The template with exactly one attribute of that name. */
export function withAttribute(template: Template, name: string, value: string | Pairs): Template {
  return [...without(template, name), { name, value }];
}

/** The template with all attributes of that name replaced by these vectors. */
export function withVectors(template: Template, name: string, values: readonly Pairs[]): Template {
  return [...without(template, name), ...values.map(value => ({ name, value }))];
}

/** What an update with append does: a name in `added` takes the place of all attributes of that name. */
export function merge(base: Template, added: Template): Template {
  const names = new Set(added.map(attribute => attribute.name));
  return [...base.filter(attribute => !names.has(attribute.name)), ...added];
}

function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A text in a CDATA section, as oned writes every template value; an end mark inside is split over two sections. */
export function cdata(text: string): string {
  return `<![CDATA[${text.replaceAll(']]>', ']]]]><![CDATA[>')}]]>`;
}

/** The pairs as elements, sorted by name. */
export function renderPairs(pairs: Pairs): string {
  return Object.keys(pairs)
    .sort(byName)
    .map(name => `<${name}>${cdata(pairs[name] ?? '')}</${name}>`)
    .join('');
}

function renderAttribute(attribute: Attribute): string {
  const inner = typeof attribute.value === 'string' ? cdata(attribute.value) : renderPairs(attribute.value);
  return `<${attribute.name}>${inner}</${attribute.name}>`;
}

/** A template as oned prints it: attributes sorted by name, equal names in their own order, pairs sorted. */
export function renderTemplate(template: Template, element = 'TEMPLATE'): string {
  const sorted = [...template].sort((a, b) => byName(a.name, b.name));
  return `<${element}>${sorted.map(renderAttribute).join('')}</${element}>`;
}
