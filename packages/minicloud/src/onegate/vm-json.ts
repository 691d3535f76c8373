import { XMLParser } from 'fast-xml-parser';

/** An XML element as OneGate writes it in JSON. */
export type Hash = { [name: string]: HashValue };
export type HashValue = string | Hash | HashValue[];

type Node = Record<string, unknown>;

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: true,
  ignoreDeclaration: true,
  parseTagValue: false,
  trimValues: false,
  processEntities: true,
  cdataPropName: '#cdata',
});

/**
 * Turns oned's XML of one object into the nested form: elements with children become objects, repeated ones arrays, the
 * rest strings. An element without anything in it is `{}`, one with an empty CDATA section is `""` (recorded).
 */
export function xmlToHash(xml: string): Hash {
  const roots = nodesOf(parser.parse(xml)).filter(isElement);
  return hashOf(roots);
}

function hashOf(nodes: Node[]): Hash {
  const hash: Hash = {};
  for (const node of nodes) {
    const name = nameOf(node);
    const value = valueFrom(nodesOf(node[name]));
    const earlier = Object.hasOwn(hash, name) ? hash[name] : undefined;
    if (earlier === undefined) hash[name] = value;
    else if (Array.isArray(earlier)) earlier.push(value);
    else hash[name] = [earlier, value];
  }
  return hash;
}

function valueFrom(nodes: Node[]): HashValue {
  const elements = nodes.filter(isElement);
  if (elements.length > 0) return hashOf(elements);
  return nodes.length === 0 ? {} : nodes.map(textOf).join('');
}

function textOf(node: Node): string {
  const text = node['#text'];
  if (text !== undefined) return String(text);
  return nodesOf(node['#cdata']).map(textOf).join('');
}

function nodesOf(value: unknown): Node[] {
  return Array.isArray(value) ? (value as Node[]) : [];
}

function nameOf(node: Node): string {
  return Object.keys(node).find(key => key !== ':@') ?? '';
}

function isElement(node: Node): boolean {
  return !nameOf(node).startsWith('#');
}

/** The VM element of {@link xmlToHash}; an empty one when the text held none. */
export function vmOf(hash: Hash): Hash {
  return asHash(hash.VM);
}

/** `value` when it is an object, else an empty one. */
export function asHash(value: HashValue | undefined): Hash {
  return typeof value === 'object' && !Array.isArray(value) ? value : {};
}

/** The elements of a pool, in its order: of `<VM_POOL>` all `<VM>`. */
export function poolOf(xml: string): Hash[] {
  const [pool] = Object.values(xmlToHash(xml));
  return Object.values(asHash(pool))
    .flatMap(items => (Array.isArray(items) ? items : [items]))
    .map(asHash);
}

/** What a guest may know of a NIC. */
const NIC_FIELDS = ['IP', 'IP6', 'IP6_GLOBAL', 'IP6_LINK', 'IP6_ULA', 'MAC', 'NAME', 'NETWORK'];

/** A VM as `GET /vm` shows it: identity, state, USER_TEMPLATE, and the addresses out of TEMPLATE. */
export function briefVm(vm: Hash): Hash {
  const template = asHash(vm.TEMPLATE);
  return {
    VM: {
      NAME: vm.NAME ?? '',
      ID: vm.ID ?? '',
      STATE: vm.STATE ?? '',
      LCM_STATE: vm.LCM_STATE ?? '',
      USER_TEMPLATE: vm.USER_TEMPLATE ?? {},
      TEMPLATE: { NIC: nics(template.NIC), NIC_ALIAS: nics(template.NIC_ALIAS) },
    },
  };
}

function nics(value: HashValue | undefined): HashValue[] {
  if (value === undefined) return [];
  return (Array.isArray(value) ? value : [value]).map(nic =>
    Object.fromEntries(Object.entries(asHash(nic)).filter(([name]) => NIC_FIELDS.includes(name))),
  );
}

/** The identity fields that `/service` shows of a node unless it is asked for more. */
const IDENTITY_FIELDS = ['ID', 'UID', 'GID', 'UNAME', 'GNAME', 'NAME'];

/** A VM by its identity fields only. */
export function identityOf(vm: Hash): Hash {
  return Object.fromEntries(Object.entries(vm).filter(([name]) => IDENTITY_FIELDS.includes(name)));
}

/** A template given as XML, without the attribute `name`; undefined when it has none. */
export function templateWithout(template: Hash, name: string): string | undefined {
  if (!Object.hasOwn(template, name)) return undefined;
  const rest = Object.entries(template).filter(([key]) => key !== name);
  return `<USER_TEMPLATE>${rest.map(([key, value]) => toXml(key, value)).join('')}</USER_TEMPLATE>`;
}

function toXml(name: string, value: HashValue): string {
  if (Array.isArray(value)) return value.map(item => toXml(name, item)).join('');
  if (typeof value === 'string') return `<${name}><![CDATA[${value}]]></${name}>`;
  return `<${name}>${Object.entries(value)
    .map(([key, inner]) => toXml(key, inner))
    .join('')}</${name}>`;
}
