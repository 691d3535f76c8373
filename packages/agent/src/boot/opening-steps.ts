import type { Guest } from '../guest.ts';
import { type BootStep, quickly } from './step.ts';

/** How every boot begins, whatever the role: it is not known before the context is read. */
export const openingSteps: readonly BootStep<Guest>[] = [
  {
    name: 'withdraw',
    does: 'Publishes FL_READY=NO and READY=NO: what an earlier boot has published holds no longer.',
    deadlineSeconds: 12,
    retry: 'never',
    failure: 'degraded',
    code: 'context_unreadable',
    run: guest => guest.withdraw(),
  },
  {
    name: 'read-context',
    does: 'Reads context.sh and token.txt of the CONTEXT CD, without running anything in them.',
    deadlineSeconds: 5,
    retry: quickly,
    failure: 'fatal',
    code: 'context_unreadable',
    run: guest => guest.readContext(),
  },
  {
    name: 'validate',
    does: 'Checks the role and all variables, and reports all that is wrong together.',
    deadlineSeconds: 10,
    retry: 'never',
    failure: 'fatal',
    code: 'config_validation_failed',
    run: guest => guest.validate(),
  },
  {
    name: 'folders',
    does: 'Makes the folders with their owners and modes, and lets in the keys of SSH_PUBLIC_KEY.',
    deadlineSeconds: 10,
    retry: 'never',
    failure: 'fatal',
    code: 'state_write_failed',
    run: guest => guest.prepareFolders(),
  },
  {
    name: 'flower-release',
    does: 'Chooses the environment of the Flower release and of ML_FRAMEWORK; another release is installed beside the baked one.',
    deadlineSeconds: 300,
    retry: 'never',
    failure: 'fatal',
    code: 'flower_start_failed',
    run: (guest, signal) => guest.chooseRelease(signal),
  },
];
