import type { Role, Settings } from '@oneflower/contract';
import { type Cardinality, type CardinalityRequest, settleCardinality } from './cardinality.ts';
import { checkServiceName } from './name.ts';
import {
  carriesSecrets,
  type Instantiation,
  renderInstantiation,
  renderServiceTemplate,
  type ServiceTemplate,
} from './service-template.ts';
import type { GivenValues } from './sources.ts';
import { checkValues } from './values.ts';
import { type ObjectId, planVmTemplates, type VmTemplatePlan } from './vm-template.ts';

/** What an operator wants. */
export interface PlanRequest extends CardinalityRequest {
  name: string;
  values: Readonly<GivenValues>;
  /** SHA-256, in hex, of the operator token. */
  operatorTokenHash: string;
}

/** A checked deployment; what is sent is rendered from it once the cloud's ids are known. Nothing here does I/O. */
export interface ServicePlan {
  name: string;
  settings: Settings;
  cardinality: Cardinality;
  warnings: string[];
  /** The service template holds secrets: it is registered for this deployment alone and removed after it. */
  secret: boolean;
  vmTemplates(imageId: ObjectId): VmTemplatePlan[];
  serviceTemplate<Id extends ObjectId>(ids: {
    vmTemplates: Record<Role, Id>;
    networkId: ObjectId;
  }): ServiceTemplate<Id>;
  instantiation(networkId: ObjectId): Instantiation;
}

/**
 * Turns variables into a deployment.
 * @throws OneFlowerError `variables-invalid`, `cardinality-invalid`, `name-invalid`.
 */
export function planService(request: PlanRequest): ServicePlan {
  const name = checkServiceName(request.name);
  const checked = checkValues(request.values);
  const cardinality = settleCardinality(request, checked.settings);
  const written = { ...checked.written, FL_OPERATOR_TOKEN_HASH: request.operatorTokenHash };
  return {
    name,
    settings: checked.settings,
    cardinality,
    warnings: checked.warnings,
    secret: carriesSecrets(written),
    vmTemplates: planVmTemplates,
    serviceTemplate: ({ vmTemplates, networkId }) =>
      renderServiceTemplate({ cardinality, written, vmTemplates, networkId }),
    instantiation: networkId => renderInstantiation({ name, written, cardinality, networkId }),
  };
}
