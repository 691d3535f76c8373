import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { isOneFlowerError, messageOf, OneFlowerError } from '@oneflower/contract';
import { extract } from 'tar-stream';

/** What an uploaded app may be at most, unpacked. */
export interface UnpackLimits {
  entries: number;
  bytes: number;
}

const defaultLimits: UnpackLimits = { entries: 10_000, bytes: 512 * 1024 * 1024 };

/**
 * Unpacks a gzipped tar into an empty folder. Only plain files and folders with relative paths below it are taken;
 * anything else refuses the whole archive.
 *
 * @throws OneFlowerError `archive-refused` with the entry and why.
 */
export async function unpackArchive(
  archive: Readable,
  folder: string,
  limits: UnpackLimits = defaultLimits,
): Promise<void> {
  const entries = extract();
  const reading = pipeline(archive, createGunzip(), entries);
  // Awaited below; a failure of the reader would otherwise count as unhandled until then.
  reading.catch(() => undefined);
  let count = 0;
  let bytes = 0;
  try {
    for await (const entry of entries) {
      const { name, type, size = 0 } = entry.header;
      count++;
      bytes += size;
      if (count > limits.entries) throw refused(`it holds more than ${limits.entries} entries`);
      if (bytes > limits.bytes) throw refused(`it unpacks to more than ${limits.bytes} bytes`);
      const target = join(folder, ...safeParts(name));
      if (type === 'directory') {
        await mkdir(target, { recursive: true, mode: 0o755 });
        entry.resume();
        continue;
      }
      if (type !== 'file' && type !== 'contiguous-file')
        throw refused(`${shown(name)} is a ${type ?? 'nameless thing'}`);
      await mkdir(dirname(target), { recursive: true, mode: 0o755 });
      await pipeline(entry, createWriteStream(target, { flags: 'wx', mode: 0o644 }));
    }
    await reading;
  } catch (error) {
    archive.destroy();
    entries.destroy();
    throw isOneFlowerError(error) ? error : refused(messageOf(error));
  }
}

function safeParts(name: string): string[] {
  if (name.startsWith('/') || name.includes('\\') || name.includes('\0'))
    throw refused(`${shown(name)} is no relative path`);
  const parts = name.split('/').filter(part => part !== '' && part !== '.');
  if (parts.includes('..')) throw refused(`${shown(name)} leads out of the folder`);
  return parts;
}

function shown(name: string): string {
  return JSON.stringify(name.slice(0, 100));
}

function refused(why: string): OneFlowerError {
  return new OneFlowerError({
    code: 'archive-refused',
    message: `The uploaded app is refused: ${why}.`,
    remedy: 'Upload a gzipped tar of the folder that holds pyproject.toml, without links.',
    fault: 'user',
  });
}
