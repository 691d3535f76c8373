import { type EnrolRefusal, OneFlowerError } from '@oneflower/contract';
import type { NodeRecord } from './records.ts';

/** The key was taken off Flower, which never accepts it again; the node makes another. */
export const nodeRemoved = 'node-removed' satisfies EnrolRefusal;

const statuses: Record<EnrolRefusal, number> = {
  'join-token-refused': 401,
  'too-many-wrong-tokens': 429,
  'node-token-refused': 401,
  'flower-version-differs': 409,
  'key-in-use': 409,
  'partition-taken': 409,
  'node-removed': 410,
  'not-ready': 503,
  'bad-request': 400,
};

const remedies: Record<EnrolRefusal, string> = {
  'join-token-refused': 'Set FL_JOIN_TOKEN to that of the SuperLink.',
  'too-many-wrong-tokens':
    'Set FL_JOIN_TOKEN to that of the SuperLink, here and on other nodes behind the same address; where it is right, wait a minute.',
  'node-token-refused': 'Enrol again.',
  'flower-version-differs': 'Set FLOWER_VERSION alike on both sides.',
  'key-in-use':
    'On the VM whose disk is the copy delete /opt/flower/certs/node.key and restart it: it then makes a key of its own.',
  'partition-taken': 'Give the node another partition-id in FL_NODE_CONFIG, or none.',
  'node-removed': 'Delete the key of the node and enrol again.',
  'not-ready': 'Try again in a few seconds.',
  'bad-request': 'Use an agent of the same release as the SuperLink.',
};

/** A refusal of the site; its code is what the node reads. */
export function refuse(refusal: EnrolRefusal, message: string): OneFlowerError {
  return new OneFlowerError({
    code: refusal,
    message,
    remedy: remedies[refusal],
    details: { refusal, status: statuses[refusal] },
  });
}

/** The refusal of a key that another VM uses at this moment. */
export function keyInUse({ name, vmId }: NodeRecord): OneFlowerError {
  const holder = vmId === null ? `node ${name}` : `node ${name} in VM ${vmId}`;
  return refuse(
    'key-in-use',
    `The key of this node is in use by ${holder}: the disk of one was copied from the other.`,
  );
}
