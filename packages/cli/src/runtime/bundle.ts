import { join } from 'node:path';
import { build } from 'esbuild';
import type { Notify } from './environment.ts';

const agent = join(import.meta.dirname, '..', '..', '..', 'agent');

/** Makes the agent's single file from its sources. @returns its path. */
export async function bundleAgent(notify: Notify): Promise<string> {
  const outfile = join(agent, 'dist', 'agent.cjs');
  notify('Bundling the agent');
  await build({
    entryPoints: [join(agent, 'src', 'main.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node24',
    // Not ESM: importing a module of Node's reads all that it exports, which loads what nobody asked for (`fetch`).
    format: 'cjs',
    define: { 'import.meta.url': '__bundleUrl' },
    banner: { js: "const __bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
    legalComments: 'none',
    logLevel: 'error',
    // Its text stays in memory; the names stay for the sake of stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
  });
  return outfile;
}
