import * as z from 'zod';

/**
 * What a SuperNode's agent asks of the SuperLink's gate under `/v1/site/`: enrolment with the join token, then its
 * state with the token that enrolment gave it.
 */
export const sitePaths = { enrol: '/v1/site/enrol', state: '/v1/site/state', leave: '/v1/site/leave' } as const;

/** A share of the bundled data: which one, of how many. */
export const Partition = z.object({ id: z.int().min(0), of: z.int().min(1) });
export type Partition = z.infer<typeof Partition>;

/** The number of partitions that nodes are told grows with the highest one that is held: none may ask for any. */
export const largestPartition = 9999;

/** POST enrol; `Authorization: Bearer JOIN_TOKEN`. The public key is the node's identity; asking again is harmless. */
export const EnrolRequest = z.object({
  name: z.string().min(1).max(128),
  /** OpenSSH format, `ecdsa-sha2-nistp384 BASE64`. */
  publicKey: z
    .string()
    .max(1000)
    .regex(/^ecdsa-sha2-nistp(256|384|521) [A-Za-z0-9+/]+={0,2}$/),
  flowerVersion: z.string().max(32),
  /** OpenNebula's id of the VM, where there is one: tells a removed node from one that reboots. */
  vmId: z.int().min(0).nullable(),
  /** A partition that the operator gave by FL_NODE_CONFIG; null asks for one to be leased. */
  partitionId: z.int().min(0).max(largestPartition).nullable(),
});
export type EnrolRequest = z.infer<typeof EnrolRequest>;

export const EnrolResponse = z.object({
  /** Flower's node id; null without TLS, where Flower knows no node keys. Decimal: it exceeds 2^53. */
  nodeId: z.string().regex(/^\d+$/).nullable(),
  partition: Partition,
  nodeToken: z.string(),
  flowerVersion: z.string(),
});
export type EnrolResponse = z.infer<typeof EnrolResponse>;

/** POST state; `Authorization: Bearer NODE_TOKEN`. Also keeps the partition lease alive. */
export const StateRequest = z.object({
  phase: z.enum(['starting', 'running', 'failed']),
  restarts: z.int().min(0),
  error: z.string().max(2000).nullable(),
});
export type StateRequest = z.infer<typeof StateRequest>;

export const StateResponse = z.object({ online: z.boolean(), training: z.boolean(), partition: Partition });
export type StateResponse = z.infer<typeof StateResponse>;

/** How the gate refuses; also the form of the operator API's errors. */
export const ApiError = z.object({
  error: z.object({ code: z.string(), message: z.string(), remedy: z.string().optional() }),
});
export type ApiError = z.infer<typeof ApiError>;

/**
 * Codes with which enrolment is refused. `node-removed`: Flower never takes this key again; the node makes another.
 * `key-in-use`: another VM that lives has enrolled the same key; a person has to say which one is the copy.
 */
export type EnrolRefusal =
  | 'join-token-refused'
  | 'too-many-wrong-tokens'
  | 'node-token-refused'
  | 'node-removed'
  | 'flower-version-differs'
  | 'key-in-use'
  | 'partition-taken'
  | 'not-ready'
  | 'bad-request';
