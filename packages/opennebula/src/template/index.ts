export * from './attributes.ts';
export type { Host, Image, Network, User, Vm, VmTemplate, Zone } from './documents.ts';
export {
  hostDocument,
  imageDocument,
  networkDocument,
  userDocument,
  vmDocument,
  vmTemplateDocument,
  zoneDocument,
} from './documents.ts';
export { parseDocument, parsePool } from './parse.ts';
export * from './render.ts';
export * from './states.ts';
