import {
  defaultSettings,
  resumeKey,
  runConfigKeys,
  runConfigOf,
  type UseCaseName,
  useCases,
} from '@oneflower/contract';

const begin = '# Set by context variables: derived by `npm run generate`.';
const end = "# The app's own.";

/**
 * An app's `pyproject.toml` with every key of the run configuration that variables set, because Flower refuses to
 * override a key that the app does not declare.
 */
export function renderAppConfig(useCase: Exclude<UseCaseName, 'none'>): (present: string) => string {
  return present => {
    const [head, rest] = halves(present, begin);
    const [, own] = halves(rest, end);
    return `${head}${begin}\n${declarations(useCase).join('\n')}\n${end}${own}`;
  };
}

/** An empty value cannot be declared: 0 stands for it, and no key has 0 for another meaning. */
function declarations(useCase: Exclude<UseCaseName, 'none'>): string[] {
  const values = new Map(
    runConfigOf({ ...defaultSettings(), ML_FRAMEWORK: useCases[useCase].frameworks[0] }).map(pair => {
      const [key = '', value = ''] = pair.split('=', 2);
      return [key, value];
    }),
  );
  return [...runConfigKeys().map(({ key }) => `${key} = ${values.get(key) ?? '0.0'}`), `${resumeKey} = ""`];
}

function halves(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  if (at < 0) throw new Error(`An app's pyproject.toml lacks the line ${JSON.stringify(mark)}.`);
  return [text.slice(0, at), text.slice(at + mark.length)];
}
