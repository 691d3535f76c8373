export { agentCommand } from './agent-command.ts';
export { ensureEnvironment, type Notify } from './environment.ts';
export { findPython } from './python.ts';
export { checkout, ensureSoftware, type Software } from './software.ts';
