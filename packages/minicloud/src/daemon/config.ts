import { z } from 'zod';
import { type CloudFiles, readJson, writeWhole } from '../cloud/files.ts';

const portSchema = z.int().min(1).max(65_535);

const configSchema = z.object({
  driver: z.enum(['process', 'dummy']),
  agentCommand: z.object({ file: z.string(), args: z.array(z.string()) }).optional(),
  ports: z.object({ xmlrpc: portSchema, oneflow: portSchema, onegate: portSchema }).optional(),
});

/** How a background cloud is run; kept in its directory. */
export interface DaemonConfig {
  driver: 'process' | 'dummy';
  /** What runs in each VM; the process driver needs it. */
  agentCommand?: { file: string; args: string[] } | undefined;
  ports?: { xmlrpc: number; oneflow: number; onegate: number } | undefined;
}

export function writeConfig(files: CloudFiles, config: DaemonConfig): void {
  writeWhole(files.service, `${JSON.stringify(config)}\n`);
}

/** The settings that the service was last started with; undefined before the first time. */
export function readConfig(files: CloudFiles): DaemonConfig | undefined {
  return configSchema.safeParse(readJson(files.service)).data;
}
