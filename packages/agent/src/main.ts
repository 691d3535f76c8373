import { issuingArgument } from './certificates/issuer.ts';

/** The agent is one file, which is also the program of the process that issues certificates. Each loads only its part. */
async function main(): Promise<void> {
  if (process.argv[2] === issuingArgument) {
    const { serveOrders } = await import('./certificates/issuing-process.ts');
    serveOrders();
    return;
  }
  // A change of the context before the program listens is none: it has not read it yet. Unheard, SIGHUP would end it.
  process.on('SIGHUP', () => undefined);
  const { start } = await import('./program.ts');
  start(process.argv.slice(2));
}

void main();
