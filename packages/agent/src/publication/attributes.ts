import type { OneFlowerError, Role } from '@oneflower/contract';
import type { Attributes } from './publisher.ts';

/** What a VM publishes that is not ready, first thing at boot and whenever something fails. */
export function notReady(role: Role | undefined, error?: OneFlowerError): Attributes {
  return {
    FL_READY: 'NO',
    READY: 'NO',
    ...(role === 'supernode' ? { FL_NODE_READY: 'NO' } : {}),
    ...(role ? { FL_ROLE: role } : {}),
    FL_ERROR: error?.code ?? '',
    FL_ERROR_TEXT: error ? base64(error.explain().slice(0, 8000)) : '',
  };
}

/** What a VM publishes that is ready, beside what its role adds. READY itself is for OneFlow, if that is wanted. */
export function ready(reportReady: boolean): Attributes {
  return { FL_READY: 'YES', ...(reportReady ? { READY: 'YES' } : {}), FL_ERROR: '', FL_ERROR_TEXT: '' };
}

/** Free text as an attribute: OneGate changes or refuses commas, brackets, quotes and line ends. */
export function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
