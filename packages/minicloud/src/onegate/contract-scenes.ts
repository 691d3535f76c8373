import type { Stage } from './contract-stage.ts';

/** What happened before a recorded exchange, by its stem. */
export const scenes: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  'onegate/001-root': async stage => {
    stage.repeat('048-host-allocate', '052-vn-allocate-bad-syntax', '053-vn-allocate-missing', '054-vn-allocate');
    stage.repeat('061-datastore-allocate-system', '062-datastore-allocate-image', '067-datastore-disable');
    await stage.clock.advance(10_000);
    stage.repeat('075-image-allocate');
    await stage.clock.advance(10_000);
    stage.repeat('081-template-allocate', '082-template-allocate-2', '096-template-instantiate');
    await stage.untilRunning(0);
  },
  'onegate/110-service-get-deploying': async stage => {
    stage.repeat('215-template-allocate-svc-superlink', '216-template-allocate-svc-supernode');
    stage.next('vm', 4);
    stage.next('document', 52);
    stage.repeatFlow('oneflow', '051-template-post');
    stage.repeatFlow('oneflow', '062-template-instantiate');
    await stage.untilRunning(4);
  },
  'onegate/113-supernode-get-vm': async stage => {
    await stage.untilRunning(5);
    await stage.untilRunning(6);
  },
  'onegate/125-supernode-get-service-running': stage => stage.untilService(53, 2),
  'onegate/127-new-node-get-service': async stage => {
    stage.scale(53, 'supernode', 3);
    await stage.untilRunning(7);
  },
  'onegate/129-service-role-put': async stage => {
    await stage.untilService(53, 2);
    stage.scale(53, 'supernode', 2);
    await stage.untilVm(5, '6');
    await stage.untilService(53, 2);
  },
  'onegate/135-service-role-put-string': async stage => {
    await stage.untilRunning(8);
    stage.put(8, 'READY="YES"');
    await stage.untilService(53, 2);
  },
  'onegate/136-vms-action-bad': async stage => {
    await stage.untilVm(6, '6');
    await stage.untilService(53, 2);
  },
  'onegate/139-vms-action-resume': stage => stage.untilVm(7, '8'),
  'onegate/140-vms-action-wrong-state': stage => stage.untilRunning(7),
  'onegate/142-service-get-warning': async stage => {
    await stage.untilService(53, 2);
    stage.scale(53, 'supernode', 3);
    await stage.untilRunning(9);
    stage.put(9, 'READY="YES"\nFL_LOAD="50"');
    await stage.untilService(53, 2);
    stage.scale(53, 'supernode', 1);
    await stage.untilVm(8, '6');
    await stage.untilService(53, 2);
    stage.askFlow('POST', '/service/53/action', { action: { perform: 'rename', params: { name: 'flower-renamed' } } });
    stage.call('one.vm.action', 'poweroff', 9);
    await stage.untilService(53, 4);
  },
  'onegate/143-vm-get-after-done': async stage => {
    await stage.untilVm(9, '8');
    stage.call('one.vm.action', 'resume', 9);
    await stage.untilService(53, 2);
    stage.askFlow('DELETE', '/service/53');
    await stage.untilVm(9, '6');
    await stage.untilVm(4, '6');
    await stage.clock.advance(40_000);
  },
  'onegate/147-gate-fl-ready': async stage => {
    stage.next('vm', 22);
    for (let id = 22; id <= 30; id++) stage.call('one.template.instantiate', 2, `gate-${id}`, false, '', false);
    for (let id = 22; id <= 30; id++) await stage.untilRunning(id);
  },
  'cli/063-onegate-vm-show--get-vm': async stage => {
    stage.next('vm', 34);
    stage.next('document', 78);
    stage.repeatFlow('cli', '047-oneflow-template-create--post-service-template');
    stage.repeatFlow('cli', '051-oneflow-template-instantiate--post-service-template-78-action');
    await stage.untilService(79, 2);
    stage.scale(79, 'supernode', 2);
    await stage.untilRunning(36);
    await stage.untilService(79, 2);
    stage.repeatFlow('cli', '060-oneflow-rename--post-service-79-action');
    stage.repeatFlow('cli', '061-oneflow-action--post-service-79-role-supernode-action');
  },
  'cli/080-onegate-vm-resume--post-vms-34-action': stage => stage.untilVm(34, '5'),
  'onegate/156-err-vm-without-token': async stage => {
    stage.next('vm', 39);
    stage.call('one.template.instantiate', 2, 'no-token', false, 'CONTEXT=[NETWORK="YES"]', false);
    await stage.untilRunning(39);
  },
  'onegate/157-oneflow-down-service': async stage => {
    stage.next('vm', 45);
    stage.next('document', 90);
    const role = { name: 'a', type: 'vm', cardinality: 1, template_id: 2 };
    const body = { name: 'down', deployment: 'straight', ready_status_gate: true, roles: [role] };
    stage.askFlow('POST', '/service_template', body);
    const action = { perform: 'instantiate', params: { merge_template: {} } };
    stage.askFlow('POST', '/service_template/90/action', { action });
    await stage.untilRunning(45);
    stage.flowDown = true;
  },
  'onegate/161-oned-down-vm-get': async stage => {
    stage.onedDown = true;
  },
  'onegate/164-oned-back-vm': async stage => {
    stage.onedDown = false;
    stage.flowDown = false;
  },
};
