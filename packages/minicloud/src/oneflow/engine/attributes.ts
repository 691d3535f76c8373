import type { AttributeReader } from '../expression/evaluate.ts';
import { isObject, type Json, type JsonObject, numberAt, objectAt } from '../json.ts';
import { isRunning } from './states.ts';

const places = ['USER_TEMPLATE', 'MONITORING', 'TEMPLATE'] as const;

/** Reads attributes of a role's VMs, of those that run: the first place that has it wins, last the VM itself. */
export function readerOf(vms: JsonObject[]): AttributeReader {
  const running = vms.filter(vm =>
    isRunning({ state: numberAt(vm, 'STATE') ?? -1, lcmState: numberAt(vm, 'LCM_STATE') ?? -1 }),
  );
  return name => running.map(vm => attributeOf(vm, name)).filter(text => text !== undefined);
}

function attributeOf(vm: JsonObject, name: string): string | undefined {
  for (const place of places) {
    const text = plainText(objectAt(vm, place)[name]);
    if (text !== undefined) return text;
  }
  return plainText(vm[name]);
}

function plainText(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Whether a VM has written exactly READY=YES: what the 30 s re-check of the readiness gate asks. */
export function isReady(vm: JsonObject): boolean {
  return objectAt(vm, 'USER_TEMPLATE').READY === 'YES';
}

/**
 * Whether the text of an update opens the readiness gate: quotes and blanks do not matter, and it need not be a
 * whole name or value (`FL_READY=YES` and `READY=YESSIR` open it).
 */
export function opensGate(text: string): boolean {
  return text.replace(/[ \t"]/g, '').includes('READY=YES');
}

/** Replaces each `${role.a.b}` by what is at A/B of a VM of that parent role; what is no parent's becomes empty. */
export function resolveReferences(value: Json, parentVm: (role: string) => JsonObject | undefined): Json {
  if (typeof value === 'string') {
    return value.replace(/\$\{([^}]*)\}/g, (_, reference: string) => {
      const [role = '', ...path] = reference.split('.');
      const vm = parentVm(role);
      return vm && path.length > 0 ? textAtPath(vm, path) : '';
    });
  }
  if (Array.isArray(value)) return value.map(item => resolveReferences(item, parentVm));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolveReferences(item, parentVm)]));
}

/** The first text at a path; names are in upper case in a VM, and of repeated elements the first counts. */
function textAtPath(vm: JsonObject, path: string[]): string {
  let place: Json | undefined = vm;
  for (const step of path) {
    const holder: Json | undefined = Array.isArray(place) ? place[0] : place;
    place = isObject(holder) ? holder[step.toUpperCase()] : undefined;
  }
  const found = Array.isArray(place) ? place[0] : place;
  return typeof found === 'string' ? found : '';
}
