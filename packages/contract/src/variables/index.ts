export { formatHostPort, type HostPort, isHost, parseHostPort } from './addresses.ts';
export { type CertificateName, parseCertificateNames } from './certificate-names.ts';
export { type NodeConfigValue, parseNodeConfig } from './node-config.ts';
export { type ParsedValue, type ParseResult, parseValue, ruleOf } from './parse.ts';
export { readCertificates, readPem } from './pem.ts';
export { resumeKey, runConfigKeys, runConfigOf } from './run-config.ts';
export { findVariable, type VariableName, variables, variablesOf } from './table.ts';
export { type Role, roles, type Variable, type VariableKind } from './types.ts';
export { renderUserInput } from './user-inputs.ts';
export {
  defaultSettings,
  describeProblem,
  type Problem,
  type Settings,
  unknownVariables,
  type Validation,
  validate,
} from './validate.ts';
