import type { Role, ServiceBody } from './body.ts';

/**
 * The roles that may deploy now. With `straight` a role waits until each of its parents runs (or is held, in a
 * service that starts on hold); an unknown parent is waited for without end, as on the real server.
 */
export function rolesToDeploy(body: ServiceBody, held: boolean): Role[] {
  const { roles } = body;
  const waiting = roles.filter(role => role.state === 'PENDING');
  if (!body.straight) return waiting;
  const standing = held ? ['RUNNING', 'HOLD'] : ['RUNNING'];
  const upRoles = new Set(roles.filter(role => standing.includes(role.state)).map(role => role.name));
  return waiting.filter(role => role.parents.every(parent => upRoles.has(parent)));
}

/** The held roles that may start now: those whose parents run. */
export function rolesToRelease(body: ServiceBody): Role[] {
  const { roles } = body;
  const held = roles.filter(role => role.state === 'HOLD');
  if (!body.straight) return held;
  const running = new Set(roles.filter(role => role.state === 'RUNNING').map(role => role.name));
  return held.filter(role => role.parents.every(parent => running.has(parent)));
}

/** The roles that may be shut down now: with `straight` a role stays until all its children are gone. */
export function rolesToShutDown(body: ServiceBody): Role[] {
  const { roles } = body;
  const standing = roles.filter(role => role.state !== 'UNDEPLOYING' && role.state !== 'DONE');
  if (!body.straight) return standing;
  const needed = new Set(
    roles.filter(role => role.state !== 'DONE').flatMap(role => role.parents.filter(p => p !== role.name)),
  );
  return standing.filter(role => !needed.has(role.name));
}
