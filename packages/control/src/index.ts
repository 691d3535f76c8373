export { type Cloud, connectCloud } from './cloud.ts';
export * from './deploy/index.ts';
export * from './doctor/index.ts';
export {
  type AccessRequest,
  type CloudAccess,
  embeddedCloud,
  findCloud,
  forgetCloud,
  listClouds,
  readSavedCloud,
  type SavedCloud,
  saveCloud,
} from './endpoints.ts';
export { type Environment, homeFolder } from './home.ts';
export * from './models/index.ts';
export { ignoreProgress, type Notify, type Progress } from './notify.ts';
export * from './operator/index.ts';
export * from './plan/index.ts';
export * from './runs/index.ts';
export * from './service/index.ts';
