/** The number that a text starts with, 0 when it starts with none: `50%` is 50, `1e3` 1000, `abc` 0. */
export function numberOf(text: string): number {
  const found = /^\s*[-+]?(?:\d+(?:_\d+)*(?:\.\d+(?:_\d+)*)?|\.\d+)(?:[eE][-+]?\d+)?/.exec(text);
  return found ? Number(found[0].replaceAll('_', '')) : 0;
}

/** Two places, halves away from zero. */
export function roundToCents(value: number): number {
  return (Math.sign(value) * Math.round((Math.abs(value) + Number.EPSILON) * 100)) / 100;
}

/** A value as the evaluated expression shows it: always with a decimal point. */
export function decimalText(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e16) return `${value}.0`;
  if (Math.abs(value) < 1e16) return String(value);
  const [mantissa = '', exponent = ''] = value.toExponential().split('e');
  return `${mantissa.includes('.') ? mantissa : `${mantissa}.0`}e${exponent}`;
}
