import type { XmlRpcValue } from '@oneflower/opennebula';
import { FaultError } from './errors.ts';
import type { Caller } from './model.ts';

/** Types that oned's methods take. */
export type ArgumentType = 'int' | 'string' | 'boolean';

/** The arguments of one call, types checked before the handler runs. Missing optional ones give the default. */
export class Arguments {
  readonly #values: readonly XmlRpcValue[];

  constructor(values: readonly XmlRpcValue[]) {
    this.#values = values;
  }

  has(index: number): boolean {
    return index < this.#values.length;
  }

  int(index: number, otherwise = 0): number {
    const value = this.#values[index];
    return typeof value === 'number' ? value : otherwise;
  }

  string(index: number, otherwise = ''): string {
    const value = this.#values[index];
    return typeof value === 'string' ? value : otherwise;
  }

  boolean(index: number, otherwise = false): boolean {
    const value = this.#values[index];
    return typeof value === 'boolean' ? value : otherwise;
  }
}

/** One method of the API. */
export interface Method {
  /** Types of the arguments after the session. */
  args: readonly ArgumentType[];
  /** How many of them must be there; all, when absent. */
  required?: number;
  /** One sentence for system.methodHelp. */
  help: string;
  run(caller: Caller, args: Arguments): XmlRpcValue;
}

/** Methods by name. */
export type Methods = Readonly<Record<string, Method>>;

const typeNames: Record<ArgumentType, string> = { int: 'integer', string: 'string', boolean: 'boolean' };

function matches(type: ArgumentType, value: XmlRpcValue): boolean {
  if (type === 'int') return typeof value === 'number' && Number.isInteger(value);
  return typeof value === type;
}

/**
 * Checks the arguments as oned's XML-RPC library does: too few and wrong types are faults, extra ones are
 * ignored.
 */
export function checkArguments(method: Method, values: readonly XmlRpcValue[]): Arguments {
  method.args.forEach((type, index) => {
    const value = values[index];
    if (value === undefined) {
      if (index < (method.required ?? method.args.length)) throw new FaultError(-501, 'Not enough parameters');
      return;
    }
    if (!matches(type, value)) {
      throw new FaultError(-501, `Parameter that is supposed to be ${typeNames[type]} is not`);
    }
  });
  return new Arguments(values.slice(0, method.args.length));
}

/** What system.methodSignature says: the result, the session, the arguments. */
export function methodSignature(method: Method): string[] {
  return ['array', 'string', ...method.args];
}
