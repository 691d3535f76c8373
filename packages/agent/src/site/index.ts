export { createSiteClient, type SiteClientOptions } from './client.ts';
export { nodeRemoved, type Refusal } from './refusals.ts';
export { createSite } from './server.ts';
export type { Site, SiteClient, SiteEvent, SiteOptions } from './types.ts';
