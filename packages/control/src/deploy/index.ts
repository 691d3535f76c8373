export {
  type DeployContext,
  type DeployRequest,
  type DeployResult,
  deployService,
} from './deploy.ts';
export { type DryRun, dryRun, type PlannedRequest } from './dry-run.ts';
export { defaultImage, defaultNetwork, type ResourceRequest } from './resources.ts';
