export {
  type Attribute,
  type AttributeName,
  attributes,
  type ReferenceName,
  references,
  roleNames,
} from './attributes.ts';
export { type Clock, FakeClock, sleep, systemClock, type Timer } from './clock.ts';
export { bakedFramework, environmentName } from './environments.ts';
export { type ErrorParts, type Fault, isOneFlowerError, messageOf, OneFlowerError } from './errors.ts';
export {
  type EventData,
  type EventName,
  events,
  type FlowerEvent,
  type LogLevel,
  logLevels,
  parseAppEvent,
} from './events.ts';
export { exitCodes } from './exit-codes.ts';
export { type FailureCode, failures } from './failures.ts';
export {
  defaultFlowerVersion,
  type FlowerProfile,
  flowerProfiles,
  knownReleases,
  profileOf,
} from './flower-profiles.ts';
export { installerVariables } from './installer-variables.ts';
export { nearest } from './nearest.ts';
export * from './operator-api.ts';
export { ports } from './ports.ts';
export * from './site-protocol.ts';
export { type Strategy, type StrategyName, strategies } from './strategies.ts';
export { type Framework, frameworks, type UseCase, type UseCaseName, useCases } from './use-cases.ts';
export * from './variables/index.ts';
