/** A named attribute of the role's VMs. A quoted name keeps its quotes, which is why it never matches one. */
export interface NameOperand {
  kind: 'name';
  name: string;
}

/** A number, with its text as written, because the evaluated expression shows it so. */
export interface NumberOperand {
  kind: 'number';
  text: string;
}

export type Operand = NameOperand | NumberOperand;

export const comparators = ['==', '=', '!=', '<>', '>=', '>', '<=', '<'] as const;
export type Comparator = (typeof comparators)[number];

export const connectives = ['&&', '&', '||', '|'] as const;
export type Connective = (typeof connectives)[number];

/** `and` and `or` have equal rank and group to the right; `!` takes in everything after it. */
export type Expression =
  | { kind: 'comparison'; left: Operand; comparator: Comparator; right: Operand }
  | { kind: 'not'; inner: Expression }
  | { kind: 'group'; inner: Expression }
  | { kind: 'joined'; left: Expression; connective: Connective; right: Expression };
