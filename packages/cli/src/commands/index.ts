import type { CommandGroup, CommandSpec } from '../command/spec.ts';
import { reset } from './cloud/reset.ts';
import { save } from './cloud/save.ts';
import { start } from './cloud/start.ts';
import { status as cloudStatus } from './cloud/status.ts';
import { stop as stopCloud } from './cloud/stop.ts';
import { completionOf } from './completion.ts';
import { remove } from './delete.ts';
import { deploy } from './deploy.ts';
import { doctor } from './doctor.ts';
import { download } from './model/download.ts';
import { list as listModels } from './model/list.ts';
import { checkpoints } from './run/checkpoints.ts';
import { compare } from './run/compare.ts';
import { list as listRuns } from './run/list.ts';
import { logs } from './run/logs.ts';
import { resume } from './run/resume.ts';
import { stop as stopRun } from './run/stop.ts';
import { submit } from './run/submit.ts';
import { watch } from './run/watch.ts';
import { scale } from './scale.ts';
import { status } from './status.ts';
import { variables } from './variables.ts';

const own: readonly (CommandSpec | CommandGroup)[] = [
  deploy,
  status,
  scale,
  remove,
  {
    name: 'run',
    summary: 'Runs of a service',
    verbs: [listRuns, submit, watch, logs, stopRun, resume, checkpoints, compare],
  },
  { name: 'model', summary: 'Models that a service keeps', verbs: [listModels, download] },
  {
    name: 'cloud',
    summary: 'The embedded cloud on this machine, and clouds kept by name',
    verbs: [start, stopCloud, cloudStatus, reset, save],
  },
  variables,
  doctor,
];

/** All commands, in the order of help. */
export const commands: readonly (CommandSpec | CommandGroup)[] = [...own, completionOf(own)];
