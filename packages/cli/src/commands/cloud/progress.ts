import type { DaemonProgress } from '@oneflower/minicloud';
import type { Reporter } from '../../output/reporter.ts';

/** Shows what happens while the embedded cloud starts or ends. */
export function reportDaemon(reporter: Reporter, progress: DaemonProgress): void {
  switch (progress.kind) {
    case 'starting':
      reporter.status('Starting the embedded cloud');
      return;
    case 'answers':
      reporter.line(`${progress.server} answers at ${progress.url}`);
      return;
    case 'ending':
      reporter.status(progress.vms ? 'Switching VMs off and ending the embedded cloud' : 'Ending the embedded cloud');
      return;
    case 'killed':
      reporter.warning(`The embedded cloud did not end by itself and was killed (process ${progress.pid}).`);
      return;
    case 'removed':
      reporter.line(`${progress.directory} removed`);
      return;
    case 'ready':
    case 'ended':
      reporter.end();
  }
}
