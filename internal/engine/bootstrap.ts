import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import type { Keys } from '../auth/keys.js';

/**
 * The first admin key. Without a key from the operator it is written to `path` (mode 0600) and
 * told through `show`, which must be a terminal and never a log.
 */
export async function bootstrapKey(
  keys: Keys,
  secret: string,
  path: string,
  show: (secret: string, path: string) => void,
): Promise<void> {
  const made = await keys.bootstrap(secret);
  // The operator's own key is known to them: it is not copied to the disk in clear.
  if (made === null || secret !== '') return;
  const fd = openSync(path, 'w', 0o600);
  try {
    writeSync(fd, `${made.secret}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  show(made.secret, path);
}
