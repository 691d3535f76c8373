/** What can be asked of all VMs of a role or a service. */
const vmActions: ReadonlySet<string> = new Set([
  'terminate',
  'terminate-hard',
  'undeploy',
  'undeploy-hard',
  'hold',
  'release',
  'stop',
  'suspend',
  'resume',
  'reboot',
  'reboot-hard',
  'poweroff',
  'poweroff-hard',
]);

export function isVmAction(name: string): boolean {
  return vmActions.has(name);
}
