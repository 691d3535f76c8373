import type { Progress } from '@oneflower/control';
import { activityAfter, describeEvent } from './describe-event.ts';
import type { Reporter } from './reporter.ts';
import { counted, formatBytes } from './text.ts';

/** Shows a step of control's work. */
export function reportProgress(reporter: Reporter, progress: Progress): void {
  const status = statusOf(progress);
  if (status !== undefined) reporter.status(status);
  if (progress.type === 'warning') reporter.warning(progress.message);
  const line = lineOf(progress);
  if (line !== undefined) reporter.line(line);
}

function lineOf(progress: Progress): string | undefined {
  switch (progress.type) {
    case 'template_registered': {
      const kind = progress.kind === 'vm' ? 'VM template' : 'Service template';
      return `${kind} ${progress.name} ${progress.reused ? 'used again' : 'registered'} (${progress.id})`;
    }
    case 'service_created':
      return `Service ${progress.name} created (${progress.id})`;
    case 'service_state':
      return `Service ${progress.name}: ${progress.state}`;
    case 'vm_state':
      return `${progress.vm}: ${progress.state}${progress.ip === null ? '' : ` ${progress.ip}`}`;
    case 'vm_waiting':
      return `${progress.vm}: waits for the scheduler: ${progress.message}`;
    case 'vm_ready':
      return `${progress.vm}: ready`;
    case 'vm_error':
      return `${progress.vm}: ${progress.code}: ${progress.text}`;
    case 'flower_event':
      return describeEvent(progress.event);
    case 'connection_lost':
      return `The SuperLink does not answer; trying again (${progress.reason})`;
    case 'connection_restored':
      return 'The SuperLink answers again';
    case 'superlink_replaced':
      return `The SuperLink of ${progress.service} is another VM than before (${progress.vmId}); its CA certificate is trusted from now on (SHA-256 ${progress.sha256})`;
    case 'app_packed':
      return `App packed: ${counted(progress.files, 'file')}, ${formatBytes(progress.bytes)}`;
    case 'recovering':
      return `Service ${progress.name}: recovered from ${progress.state}, so that it can be removed`;
    case 'removal_started':
      return `Service ${progress.name}: removal (${progress.id})`;
    case 'warning':
    case 'download_progress':
      return undefined;
  }
}

function statusOf(progress: Progress): string | undefined {
  switch (progress.type) {
    case 'service_state':
      return `Service ${progress.name} is ${progress.state}`;
    case 'flower_event':
      return activityAfter(progress.event);
    case 'download_progress':
      return `${progress.file}: ${formatBytes(progress.bytes)} of ${formatBytes(progress.of)}`;
    default:
      return undefined;
  }
}
