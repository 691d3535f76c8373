/** What guests run, as `npm test` has set it up (tools/setup.ts). */
export interface TestSoftware {
  /** The agent as one file. */
  agent: string;
  /** The agent's `--software`. */
  software: string;
  flowerUser: string;
  /** Python that can import Flower. */
  python: string;
}

/** @throws Error that says how to get what is missing. */
export function testSoftware(): TestSoftware {
  return {
    agent: needed('ONEFLOWER_AGENT'),
    software: needed('ONEFLOWER_SOFTWARE'),
    flowerUser: needed('ONEFLOWER_FLOWER_USER'),
    python: needed('ONEFLOWER_PYTHON'),
  };
}

function needed(name: string): string {
  const value = process.env[name];
  if (value) return value;
  throw new Error(`${name} is not set: these tests run real guests, which npm test sets up.`);
}
