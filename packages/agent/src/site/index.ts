export { createSiteClient } from './client.ts';
export { nodeRemoved } from './refusals.ts';
export { createSite } from './server.ts';
export type { NodeRole, Site, SiteClient, SiteOptions } from './types.ts';
