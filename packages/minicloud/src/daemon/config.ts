import { OneFlowerError } from '@oneflower/contract';
import * as z from 'zod';
import { type CloudFiles, readJson, writeWhole } from '../cloud/files.ts';
import type { CloudPorts } from '../cloud/front-end.ts';
import type { AgentCommand } from '../drivers/process/index.ts';

const portSchema = z.int().min(1).max(65_535);

const portsSchema = z.object({ xmlrpc: portSchema, oneflow: portSchema, onegate: portSchema });

const configSchema = z.discriminatedUnion('driver', [
  z.object({
    driver: z.literal('process'),
    agentCommand: z.object({
      file: z.string(),
      args: z.array(z.string()),
      env: z.record(z.string(), z.string()).optional(),
    }),
    ports: portsSchema.optional(),
  }),
  z.object({ driver: z.literal('dummy'), ports: portsSchema.optional() }),
]);

/** How a background cloud is run; kept in its directory. */
export interface DaemonConfig {
  driver: 'process' | 'dummy';
  /** What runs in each VM; the process driver needs it. */
  agentCommand?: AgentCommand | undefined;
  ports?: CloudPorts | undefined;
}

/** Settings that were checked: the process driver has its agent. */
export type CheckedConfig = z.output<typeof configSchema>;

/**
 * Writes the settings for the service to read.
 *
 * @throws OneFlowerError `bad-service-settings`
 */
export function writeConfig(files: CloudFiles, config: DaemonConfig): void {
  const checked = configSchema.safeParse(config);
  if (!checked.success) {
    throw new OneFlowerError({
      code: 'bad-service-settings',
      message: `The cloud cannot be started with these settings: ${z.prettifyError(checked.error)}`,
      reason: 'The process driver needs the command of the agent, and ports are numbers from 1 to 65535.',
      fault: 'bug',
    });
  }
  writeWhole(files.service, `${JSON.stringify(checked.data)}\n`);
}

/** The settings that the service was last started with; undefined before the first time. */
export function readConfig(files: CloudFiles): CheckedConfig | undefined {
  return configSchema.safeParse(readJson(files.service)).data;
}
