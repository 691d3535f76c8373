import { join } from 'node:path';

/** Where the embedded cloud keeps its state. */
export function embeddedFolder(home: string): string {
  return join(home, 'embedded');
}
