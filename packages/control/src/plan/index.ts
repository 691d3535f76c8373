export { type Cardinality, type CardinalityRequest, mostNodes } from './cardinality.ts';
export { mask, maskSecrets } from './mask.ts';
export { checkServiceName, defaultServiceName } from './name.ts';
export { type PlanRequest, planService, type ServicePlan } from './plan.ts';
export type { Instantiation, ServiceRole, ServiceTemplate } from './service-template.ts';
export { type GivenValues, readAssignmentArguments, readVariablesFile } from './sources.ts';
export type { ValueProblem } from './values.ts';
export type { ObjectId, VmTemplatePlan } from './vm-template.ts';
