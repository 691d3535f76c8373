import {
  type Comparator,
  type Connective,
  comparators,
  connectives,
  type Expression,
  type Operand,
} from './grammar.ts';
import { Scanner } from './scanner.ts';

/** The tree of an expression, or the server's sentence on why it has none. */
export type ParseResult = { ok: true; expression: Expression } | { ok: false; message: string };

/** Depth of parentheses and negations up to which an expression is read: hostile input must not exhaust the stack. */
const MAX_DEPTH = 200;

/** Reads an elasticity expression: comparisons joined by `&`, `&&`, `|`, `||`, with `!` and parentheses. */
export function parseExpression(text: string): ParseResult {
  const scanner = new Scanner(text);
  const expression = readExpression(scanner, 0);
  if (expression && scanner.atEnd) return { ok: true, expression };
  return { ok: false, message: scanner.failure(expression ? scanner.position : 0) };
}

function readExpression(scanner: Scanner, depth: number): Expression | undefined {
  if (depth > MAX_DEPTH) return undefined;
  skipBlanks(scanner);
  const left = readUnit(scanner, depth);
  if (!left) return undefined;
  skipBlanks(scanner);
  const end = scanner.position;
  const connective = takeOneOf<Connective>(scanner, connectives);
  if (!connective) return left;
  const right = readExpression(scanner, depth + 1);
  if (right) return { kind: 'joined', left, connective, right };
  scanner.position = end;
  return left;
}

function readUnit(scanner: Scanner, depth: number): Expression | undefined {
  const start = scanner.position;
  const comparison = readComparison(scanner);
  if (comparison) return comparison;
  scanner.position = start;
  if (scanner.take('!')) {
    const inner = readExpression(scanner, depth + 1);
    if (inner) return { kind: 'not', inner };
  }
  scanner.position = start;
  if (!scanner.take('(')) return undefined;
  const inner = readExpression(scanner, depth + 1);
  return inner && scanner.take(')') ? { kind: 'group', inner } : undefined;
}

function readComparison(scanner: Scanner): Expression | undefined {
  const left = readOperand(scanner);
  if (!left) return undefined;
  skipBlanks(scanner);
  const comparator = takeOneOf<Comparator>(scanner, comparators);
  if (!comparator) return undefined;
  skipBlanks(scanner);
  const right = readOperand(scanner);
  return right ? { kind: 'comparison', left, comparator, right } : undefined;
}

function readOperand(scanner: Scanner): Operand | undefined {
  const start = scanner.position;
  const number = readNumber(scanner);
  if (number !== undefined) return { kind: 'number', text: number };
  scanner.position = start;
  const name = readQuoted(scanner, '"') ?? readQuoted(scanner, "'") ?? readName(scanner);
  return name === undefined ? undefined : { kind: 'name', name: name.toUpperCase() };
}

function readNumber(scanner: Scanner): string | undefined {
  const start = scanner.position;
  scanner.take('-');
  if (scanner.takeRun(/[0-9]/, '[0-9]') === '') return undefined;
  const whole = scanner.position;
  if (scanner.take('.') && scanner.takeRun(/[0-9]/, '[0-9]') === '') scanner.position = whole;
  return scanner.text.slice(start, scanner.position);
}

function readQuoted(scanner: Scanner, quote: string): string | undefined {
  const start = scanner.position;
  if (!scanner.take(quote)) return undefined;
  scanner.takeRun(/[0-9a-zA-Z_]/, '[0-9a-zA-Z_]');
  if (scanner.take(quote)) return scanner.text.slice(start, scanner.position);
  scanner.position = start;
  return undefined;
}

function readName(scanner: Scanner): string | undefined {
  const first = scanner.takeClass(/[a-zA-Z]/, '[a-zA-Z]');
  return first === undefined ? undefined : first + scanner.takeRun(/[0-9a-zA-Z_]/, '[0-9a-zA-Z_]');
}

function takeOneOf<T extends string>(scanner: Scanner, literals: readonly T[]): T | undefined {
  return literals.find(literal => scanner.take(literal));
}

function skipBlanks(scanner: Scanner): void {
  scanner.takeRun(/ /, "' '");
}
