export { type DeleteContext, type DeleteResult, deleteService } from './delete.ts';
export { findService, listFlowerServices, onlyService } from './find.ts';
export { type RecordPlace, removeRecords } from './records.ts';
export { type ScaleContext, type ScaleRequest, type ScaleResult, scaleService } from './scale.ts';
export { readStatus, type ServiceStatus, type StatusContext } from './status.ts';
export type { ServiceVm, VmError } from './vms.ts';
