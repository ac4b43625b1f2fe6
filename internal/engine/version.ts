import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The version in package.json, wherever this module was compiled to below it. */
export const VERSION = readVersion(dirname(fileURLToPath(import.meta.url)));

function readVersion(dir: string): string {
  try {
    const { name, version } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
    if (name === 'memtrace') return version;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const parent = dirname(dir);
  if (parent === dir) throw new Error('package.json of memtrace is missing above this module');
  return readVersion(parent);
}
