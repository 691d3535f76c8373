import * as z from 'zod';

const endpointsSchema = z.object({
  xmlrpc: z.string(),
  oneflow: z.string(),
  onegate: z.string(),
  authFile: z.string(),
});

/** What the background service tells the process that started it. */
export const daemonMessageSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ready'), endpoints: endpointsSchema }),
  /** Somebody else has told it to end. */
  z.object({ kind: z.literal('ending') }),
  z.object({
    kind: z.literal('failed'),
    code: z.string(),
    message: z.string(),
    reason: z.string().optional(),
    remedy: z.string().optional(),
    fault: z.enum(['user', 'environment', 'bug']),
  }),
]);

export type DaemonMessage = z.input<typeof daemonMessageSchema>;
