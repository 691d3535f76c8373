export { agentCommand } from './agent-command.ts';
export { checkout, flowerSources } from './checkout.ts';
export { ensureEnvironment, type Notify } from './environment.ts';
export { ensureFramework, environments, ownEnvironments, pythonOfEnvironments } from './frameworks.ts';
export { findPython } from './python.ts';
export { ensureSoftware, type Software } from './software.ts';
