import type { OptionValues } from './spec.ts';

/** The text of an option, or undefined when it was not given. */
export function textOption(options: OptionValues, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
}

/** All values of a repeatable option. */
export function listOption(options: OptionValues, name: string): string[] {
  const value = options[name];
  return Array.isArray(value) ? value : [];
}

export function isSet(options: OptionValues, name: string): boolean {
  return options[name] === true;
}

/**
 * A whole number, or undefined when the text is absent.
 * @throws OneFlowerError `usage`.
 */
export async function wholeNumber(text: string | undefined, what: string): Promise<number | undefined> {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  const { OneFlowerError } = await import('@oneflower/contract');
  throw new OneFlowerError({
    code: 'usage',
    message: `${what} must be a whole number, not ${JSON.stringify(text.slice(0, 40))}.`,
    remedy: 'Add --help to the command to see how it is used.',
    fault: 'user',
  });
}
