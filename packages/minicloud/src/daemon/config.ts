import { z } from 'zod';
import { type CloudFiles, readJson, writeWhole } from '../cloud/files.ts';
import type { CloudPorts } from '../cloud/front-end.ts';

const portSchema = z.int().min(1).max(65_535);

const portsSchema = z.object({ xmlrpc: portSchema, oneflow: portSchema, onegate: portSchema });

const configSchema = z.discriminatedUnion('driver', [
  z.object({
    driver: z.literal('process'),
    agentCommand: z.object({ file: z.string(), args: z.array(z.string()) }),
    ports: portsSchema.optional(),
  }),
  z.object({ driver: z.literal('dummy'), ports: portsSchema.optional() }),
]);

/** How a background cloud is run; kept in its directory. */
export type DaemonConfig = ProcessConfig | DummyConfig;

interface ProcessConfig {
  driver: 'process';
  /** What runs in each VM. */
  agentCommand: { file: string; args: string[] };
  ports?: CloudPorts | undefined;
}

interface DummyConfig {
  driver: 'dummy';
  ports?: CloudPorts | undefined;
}

export function writeConfig(files: CloudFiles, config: DaemonConfig): void {
  // Parsed, so that only what is a setting is written.
  writeWhole(files.service, `${JSON.stringify(configSchema.parse(config))}\n`);
}

/** The settings that the service was last started with; undefined before the first time. */
export function readConfig(files: CloudFiles): DaemonConfig | undefined {
  return configSchema.safeParse(readJson(files.service)).data;
}
