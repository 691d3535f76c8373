import type { Template } from './template/attributes.ts';

/** What this cloud says of itself in `one.system.config`: the settings that clients look at. */
export function configuration(options: { endpointPort: string; gateEndpoint: string; driver: string }): Template {
  const attribute = (name: string, value: string): Template[number] => ({ name, value });
  const restricted = ['CONTEXT/FILES', 'NIC/MAC', 'NIC/VLAN_ID', 'NIC/BRIDGE', 'RAW/DATA', 'PCI', 'EMULATOR'];
  return [
    attribute('API_LIST_ORDER', 'DESC'),
    attribute('DEFAULT_AUTH', 'default'),
    attribute('DEFAULT_DEVICE_PREFIX', 'sd'),
    attribute('DEFAULT_IMAGE_TYPE', 'OS'),
    attribute('DEFAULT_UMASK', '177'),
    attribute('ENABLE_OTHER_PERMISSIONS', 'YES'),
    attribute('HOSTNAME', 'localhost'),
    attribute('LISTEN_ADDRESS', '127.0.0.1'),
    attribute('MAC_PREFIX', '02:00'),
    attribute('NETWORK_SIZE', '254'),
    attribute('ONEGATE_ENDPOINT', options.gateEndpoint),
    attribute('PORT', options.endpointPort),
    attribute('SESSION_EXPIRATION_TIME', '900'),
    { name: 'DB', value: { BACKEND: 'sqlite' } },
    { name: 'FEDERATION', value: { MODE: 'STANDALONE', SERVER_ID: '-1', ZONE_ID: '0' } },
    { name: 'VM_MAD', value: { NAME: options.driver, TYPE: 'xml' } },
    ...restricted.map(name => attribute('VM_RESTRICTED_ATTR', name)),
  ];
}
