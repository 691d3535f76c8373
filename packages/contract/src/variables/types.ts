/** What runs in a VM; `FL_ROLE` on the wire. */
export type Role = 'superlink' | 'supernode';

export const roles = ['superlink', 'supernode'] as const satisfies readonly Role[];

/** How a value is written and checked. */
export type VariableKind =
  | { type: 'integer'; min: number; max: number }
  | { type: 'number'; above?: number; min?: number; below?: number; max?: number }
  | { type: 'boolean' }
  | { type: 'list'; options: readonly string[] }
  | { type: 'version' }
  | { type: 'address' }
  | { type: 'certificate' }
  | { type: 'private-key' }
  | { type: 'certificate-names' }
  | { type: 'node-config' }
  | { type: 'path' }
  /** A file in `state`, the folder of Flower's own that its user may write to. */
  | { type: 'database' }
  | { type: 'token' }
  | { type: 'sha256' }
  | { type: 'text' };

/** One context variable: everything that is known about it is here and nowhere else. */
export interface Variable {
  name: string;
  /** The roles whose CONTEXT carries it. Both: it is an input of the service, not of a role. */
  roles: readonly Role[];
  kind: VariableKind;
  /** What an empty or absent value means, as it would be written. Empty: no value. */
  default: string;
  /** Who gives it: a person who deploys, or the platform's own contextualization. */
  source: 'operator' | 'platform';
  /** Never shown, and never an input that OneFlow would copy into USER_TEMPLATE. */
  secret?: true;
  /** One sentence of help. */
  help: string;
  /** What a value changes: the flag, file or behaviour. */
  effect: string;
  /** Key of Flower's run configuration that carries it to the app of a use case. */
  runConfig?: string;
  /** When it applies, if not always. */
  applies?: string;
}
