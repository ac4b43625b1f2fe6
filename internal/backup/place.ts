import { randomBytes } from 'node:crypto';
import { access, constants, mkdir, open, readdir, rename, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Fault } from '../fault/fault.js';
import { codeOf } from '../objects/local.js';

export const DATABASE = 'memtrace.db';

/** Where a directory is made before it gets its name. */
export interface Place {
  to: string;
  /** Not there yet; on the file system of `to`. */
  temporary: string;
  /** Gives what is in `temporary` its place, durably. */
  switchOver(): Promise<void>;
}

/**
 * Finds room for a new directory at `to`, which must be absent or empty: beside it, so that one
 * rename does it; or inside, if it is a mount or its parent may not be written.
 * Rejects with `invalid_field` if there is something in it.
 */
export async function placeFor(to: string): Promise<Place> {
  const suffix = `restoring-${randomBytes(4).toString('hex')}`;
  const inside = { to, temporary: join(to, `.${suffix}`) };
  if (await needsInside(to)) {
    return { ...inside, switchOver: () => moveEntries(inside.temporary, to) };
  }
  const beside = { to, temporary: join(dirname(to), `${basename(to)}.${suffix}`) };
  const switchOver = async () => {
    // Onto an empty directory, or nothing: POSIX refuses if something came into it meanwhile.
    await rename(beside.temporary, to);
    await syncFolder(dirname(to));
  };
  return { ...beside, switchOver };
}

async function needsInside(to: string): Promise<boolean> {
  const info = await stat(to).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  });
  if (info === null) {
    await mkdir(dirname(to), { recursive: true });
    return false;
  }
  if (!info.isDirectory()) throw new Fault('invalid_field', `${to} is not a directory`);
  const entries = await readdir(to);
  // What ext4 puts into the root of a file system.
  if (entries.some((name) => name !== 'lost+found')) {
    throw new Fault(
      'invalid_field',
      `${to} is not empty (it has ${entries.slice(0, 3).join(', ')}): ` +
        'restore makes a new directory and never replaces one',
    );
  }
  if (entries.length > 0) return true;
  const parent = await stat(dirname(to));
  if (parent.dev !== info.dev) return true;
  return access(dirname(to), constants.W_OK).then(
    () => false,
    () => true,
  );
}

/** The database comes last: without it, and with a log, a server refuses to start. */
async function moveEntries(from: string, to: string): Promise<void> {
  const names = (await readdir(from)).filter((name) => name !== DATABASE);
  for (const name of names) await rename(join(from, name), join(to, name));
  await syncFolder(to);
  await rename(join(from, DATABASE), join(to, DATABASE));
  await rmdir(from);
  await syncFolder(to);
}

/** fsync of a directory's entries. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
