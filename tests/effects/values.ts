import { createHash } from 'node:crypto';
import type { VariableName } from '@oneflower/contract';
import type { Trio } from '../support/certificates.ts';

type Values = Partial<Record<VariableName, string>> & Record<string, string>;

export const joinToken = 'join-token-of-the-changed-site';
export const operatorToken = 'operator-token-of-the-effect-tests';
export const publicKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEffectTestsOnlyNoSuchKeyExistsAnywhere0 effect-tests';
/** A release that OneFlower would know how to run, and that does not exist. */
export const noRelease = '1.41.99';

const operatorTokenHash = createHash('sha256').update(operatorToken).digest('hex');

/** A SuperLink on which most variables differ from their defaults. Each test looks at what only its own can cause. */
export function changedSuperLink(trio: Trio): Values {
  return {
    FL_USE_CASE: 'anomaly-detection',
    FL_NUM_ROUNDS: '1',
    FL_MIN_FIT_CLIENTS: '1',
    FL_MIN_EVALUATE_CLIENTS: '1',
    FL_MIN_AVAILABLE_CLIENTS: '1',
    FL_FLEET_API_ADDRESS: '0.0.0.0:19092',
    FL_CONTROL_API_ADDRESS: '127.0.0.1:19093',
    FL_ISOLATION: 'process',
    FL_DATABASE: 'state/other.db',
    FL_CHECKPOINT_PATH: '/srv/checkpoints',
    FL_WARM_WORKERS: 'NO',
    FL_LOG_FORMAT: 'json',
    FL_SSL_CA_CERTFILE: trio.ca,
    FL_SSL_CERTFILE: trio.certificate,
    FL_SSL_KEYFILE: trio.key,
    FL_JOIN_TOKEN: joinToken,
    FL_OPERATOR_TOKEN_HASH: operatorTokenHash,
    TOKEN: 'YES',
    REPORT_READY: 'YES',
    SSH_PUBLIC_KEY: publicKey,
  };
}

export function changedNode(superLink: string, trio: Trio): Values {
  return {
    FL_SUPERLINK_ADDRESS: `${superLink}:19092`,
    FL_SSL_CA_CERTFILE: trio.ca,
    FL_JOIN_TOKEN: joinToken,
    FL_ISOLATION: 'process',
    FL_WARM_WORKERS: 'NO',
    FL_NODE_CONFIG: 'partition-id=5 num-partitions=9 label="shop floor"',
    FL_MAX_WAIT_TIME: '2',
    TOKEN: 'YES',
  };
}

/** More nodes are asked for than there are: the run is submitted and waits. */
export const openSuperLink: Values = {
  FL_TLS_ENABLED: 'NO',
  FL_USE_CASE: 'anomaly-detection',
  FL_MIN_FIT_CLIENTS: '3',
  FL_MIN_EVALUATE_CLIENTS: '4',
  FL_MIN_AVAILABLE_CLIENTS: '1',
  FL_ROUND_TIMEOUT: '120',
  FL_LOG_LEVEL: 'DEBUG',
  TOKEN: 'YES',
};

export const openNode: Values = { FL_TLS_ENABLED: 'NO', READY_SCRIPT_PATH: '/ready.sh', TOKEN: 'YES' };

export const otherRelease: Values = {
  FLOWER_VERSION: noRelease,
  FL_USE_CASE: 'anomaly-detection',
  FL_CERT_EXTRA_SAN: 'IP:10.99.0.9,DNS:flower.example',
  FL_OPERATOR_TOKEN_HASH: operatorTokenHash,
};
