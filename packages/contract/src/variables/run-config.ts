import { variables } from './table.ts';
import type { Variable } from './types.ts';
import type { Settings } from './validate.ts';

/** Key of the run configuration that names the checkpoint to go on from, as `RUN_ID/FILE`; empty for a fresh start. */
export const resumeKey = 'resume-from';

/** Keys of the run configuration that variables set, each with its variable: what an app of ours declares. */
export function runConfigKeys(): { key: string; variable: Variable }[] {
  return (variables as readonly Variable[]).flatMap(variable =>
    variable.runConfig === undefined ? [] : [{ key: variable.runConfig, variable }],
  );
}

/** The run configuration that the variables describe, as TOML `KEY=VALUE`: what `flwr run --run-config` takes. */
export function runConfigOf(settings: Settings): string[] {
  return runConfigKeys().flatMap(({ key, variable }) => {
    const value = settings[variable.name as keyof Settings];
    return value === '' ? [] : [`${key}=${toml(value, variable)}`];
  });
}

/** Flower keeps the TOML type of a value, so a number that may have a fraction always shows one. */
function toml(value: string | number | boolean, { kind }: Variable): string {
  if (typeof value === 'string') return JSON.stringify(value);
  const text = String(value);
  return kind.type === 'number' && /^-?\d+$/.test(text) ? `${text}.0` : text;
}
