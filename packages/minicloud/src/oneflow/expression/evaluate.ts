import type { Comparator, Expression, Operand } from './grammar.ts';
import { decimalText, numberOf, roundToCents } from './number.ts';

/** The texts of one attribute (in upper case) on those running VMs of the role that have it. */
export type AttributeReader = (name: string) => string[];

/** Whether an expression holds now, and the sentence that shows with which values. */
export interface Evaluation {
  holds: boolean;
  text: string;
}

const compare: Record<Comparator, (left: number, right: number) => boolean> = {
  '=': (left, right) => left === right,
  '==': (left, right) => left === right,
  '!=': (left, right) => left !== right,
  '<>': (left, right) => left !== right,
  '>': (left, right) => left > right,
  '>=': (left, right) => left >= right,
  '<': (left, right) => left < right,
  '<=': (left, right) => left <= right,
};

/** Evaluates an expression over the role's VMs. A comparison with an attribute that no VM has is false, `!=` too. */
export function evaluateExpression(expression: Expression, read: AttributeReader): Evaluation {
  switch (expression.kind) {
    case 'comparison': {
      const left = operandValue(expression.left, read);
      const right = operandValue(expression.right, read);
      const known = left.value !== undefined && right.value !== undefined;
      return {
        holds: known && compare[expression.comparator](left.value ?? 0, right.value ?? 0),
        text: `${left.text} ${expression.comparator} ${right.text}`,
      };
    }
    case 'not': {
      const inner = evaluateExpression(expression.inner, read);
      return { holds: !inner.holds, text: `!${inner.text}` };
    }
    case 'group': {
      const inner = evaluateExpression(expression.inner, read);
      return { holds: inner.holds, text: `(${inner.text})` };
    }
    case 'joined': {
      const left = evaluateExpression(expression.left, read);
      const right = evaluateExpression(expression.right, read);
      const both = expression.connective.startsWith('&');
      return {
        holds: both ? left.holds && right.holds : left.holds || right.holds,
        text: `${left.text} ${expression.connective} ${right.text}`,
      };
    }
  }
}

function operandValue(operand: Operand, read: AttributeReader): { value: number | undefined; text: string } {
  if (operand.kind === 'number') return { value: Number(operand.text), text: operand.text };
  const texts = read(operand.name);
  if (texts.length === 0) return { value: undefined, text: `${operand.name}[--]` };
  let sum = 0;
  for (const text of texts) sum += numberOf(text);
  const value = roundToCents(sum / texts.length);
  return { value, text: `${operand.name}[${decimalText(value)}]` };
}
