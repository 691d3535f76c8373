export type { OnedOptions } from './caller.ts';
export {
  createOnedClient,
  type InstantiateOptions,
  type LoginRequest,
  type OnedClient,
  type Owner,
  type RecoverOperation,
  type UpdateMode,
  type VmAction,
  type VmFilter,
} from './client.ts';
