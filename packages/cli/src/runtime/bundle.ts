import { join } from 'node:path';
import { build } from 'esbuild';
import type { Notify } from './environment.ts';

const agent = join(import.meta.dirname, '..', '..', '..', 'agent');

/** Makes the agent's single file from its sources. @returns its path. */
export async function bundleAgent(notify: Notify): Promise<string> {
  const outfile = join(agent, 'dist', 'agent.mjs');
  notify('Bundling the agent');
  await build({
    entryPoints: [join(agent, 'src', 'main.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    legalComments: 'none',
    logLevel: 'error',
    // Its text stays in memory; the names stay for the sake of stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    // Some dependencies are CommonJS and call require() for Node's own modules.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);",
    },
  });
  return outfile;
}
