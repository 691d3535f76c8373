import { isIP } from 'node:net';
import {
  describeProblem,
  type ReferenceName,
  type Role,
  references,
  roles,
  type Settings,
  unknownVariables,
  validate,
} from '@oneflower/contract';
import { failure } from '../failure.ts';

/** How this VM reaches OneGate, all of it from the CONTEXT CD. */
export interface OneGateAccess {
  endpoint: string;
  vmId: number;
  token: string;
}

/** What the CONTEXT CD says, read and checked. */
export interface GuestContext {
  role: Role;
  settings: Settings;
  vmId: number | null;
  /** Absent without TOKEN=YES. */
  oneGate: OneGateAccess | undefined;
  /** The address of the first interface that has one, where NETWORK=YES. */
  nicAddress: string | undefined;
  /** What OneFlow filled in from the parent role's attributes; only those that are not empty. */
  references: Partial<Record<ReferenceName, string>>;
  /** The names that the service's SuperNodes enrol under. */
  vmName: string;
  warnings: string[];
}

/** The files of a CONTEXT CD as they were read. */
export interface ContextFiles {
  values: ReadonlyMap<string, string>;
  token: string | undefined;
}

/**
 * Checks everything in the CONTEXT at once.
 *
 * @throws OneFlowerError `config_validation_failed` naming every variable that is wrong, with value and rule.
 */
export function checkContext({ values, token }: ContextFiles): GuestContext {
  const role = roleOf(values);
  if (!role) {
    const said = values.get('FL_ROLE')?.trim() ?? '';
    const found = said === '' ? 'is missing' : `is ${JSON.stringify(said.slice(0, 60))}`;
    throw failure('config_validation_failed', `FL_ROLE ${found}: it must be ${roles.join(' or ')}.`, {
      remedy: "Add FL_ROLE to the CONTEXT of the VM template; OneFlower's templates carry it.",
      fault: 'user',
    });
  }
  const validation = validate(Object.fromEntries(values), role);
  if (validation.problems.length > 0) {
    const sentences = validation.problems.map(describeProblem);
    throw failure('config_validation_failed', sentences.join('\n'), {
      fault: 'user',
      details: { problems: validation.problems },
    });
  }
  return {
    role,
    settings: validation.settings,
    vmId: readId(values.get('VMID')),
    oneGate: oneGateAccess(values, token),
    nicAddress: validation.settings.NETWORK ? firstNicAddress(values) : undefined,
    references: readReferences(values),
    vmName: nodeName(values),
    warnings: [...validation.warnings, ...namesNobodyKnows(values)],
  };
}

/** OneGate of a CONTEXT that may be invalid otherwise: what a failed boot reports through. */
export function oneGateAccess(
  values: ReadonlyMap<string, string>,
  token: string | undefined,
): OneGateAccess | undefined {
  const endpoint = values.get('ONEGATE_ENDPOINT')?.trim();
  const vmId = readId(values.get('VMID'));
  const wanted = values.get('TOKEN')?.toUpperCase() === 'YES';
  if (!wanted || !endpoint || vmId === null || !token || !isHttpUrl(endpoint)) return undefined;
  return { endpoint, vmId, token };
}

/** The role that a CONTEXT names, which may be invalid otherwise. */
export function roleOf(values: ReadonlyMap<string, string>): Role | undefined {
  const said = values.get('FL_ROLE')?.trim();
  return roles.find(role => role === said);
}

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

function readId(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : null;
}

function firstNicAddress(values: ReadonlyMap<string, string>): string | undefined {
  const interfaces = [...values.keys()]
    .flatMap(name => /^ETH(\d+)_IP6?$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
  const addresses = interfaces.flatMap(index => [values.get(`ETH${index}_IP`), values.get(`ETH${index}_IP6`)]);
  return addresses.find(address => address !== undefined && isIP(address) !== 0);
}

function readReferences(values: ReadonlyMap<string, string>): Partial<Record<ReferenceName, string>> {
  const found: Partial<Record<ReferenceName, string>> = {};
  for (const name of Object.keys(references) as ReferenceName[]) {
    const value = values.get(name)?.trim();
    if (value && !value.startsWith('${')) found[name] = value;
  }
  return found;
}

function nodeName(values: ReadonlyMap<string, string>): string {
  const vmId = readId(values.get('VMID'));
  return vmId === null ? 'node' : `vm-${vmId}`;
}

function namesNobodyKnows(values: ReadonlyMap<string, string>): string[] {
  return unknownVariables([...values.keys()].filter(name => name !== 'FL_ROLE')).map(({ name, nearest }) =>
    nearest ? `${name} is no variable of OneFlower; is ${nearest} meant?` : `${name} is no variable of OneFlower.`,
  );
}
