import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import * as fs from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { assert } from '../base/assert.js';
import { Fault } from '../fault/fault.js';
import { isKey } from './key.js';
import { DamagedSource, type ObjectInfo, type Objects } from './objects.js';

/** Objects as files below a root directory. */
export class LocalObjects implements Objects {
  /** The real path, without symbolic links. */
  readonly root: string;
  /** Directories known to exist, durably, inside the root. */
  private readonly ready = new Set<string>();

  private constructor(root: string) {
    this.root = root;
  }

  /** Makes the root if it is absent, for its owner alone. */
  static async open(root: string): Promise<LocalObjects> {
    await fs.mkdir(root, { recursive: true, mode: 0o700 });
    return new LocalObjects(await fs.realpath(root));
  }

  /** The absolute path of a key, for readers that take paths. */
  path(key: string): string {
    assert(isKey(key), `not an object key: ${key}`);
    return join(this.root, key);
  }

  /** Makes a folder durably, if it is absent. */
  makeFolder(prefix: string): Promise<void> {
    return this.makeDirectory(this.path(prefix));
  }

  /** Whether the folder itself can be listed: if not, a missing object says nothing. */
  async reachable(prefix: string): Promise<boolean> {
    return fs.readdir(this.path(prefix)).then(
      () => true,
      () => false,
    );
  }

  async put(key: string, bytes: Uint8Array): Promise<boolean> {
    const target = this.path(key);
    await this.makeDirectory(dirname(target));
    // A dot in front: no key can name it, no listing shows it.
    const temporary = join(dirname(target), `.${randomUUID()}.tmp`);
    try {
      await writeNew(temporary, bytes);
      return await this.putFile(key, temporary);
    } catch (error) {
      throw explain(key, error);
    } finally {
      await fs.rm(temporary, { force: true });
    }
  }

  async putFile(key: string, path: string): Promise<boolean> {
    const target = this.path(key);
    try {
      await this.makeDirectory(dirname(target));
      await syncPath(path);
      await moveIfAbsent(path, target);
      await syncPath(dirname(target));
      return true;
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      throw explain(key, error);
    }
  }

  async copyFile(key: string, path: string, sha256: string): Promise<boolean> {
    const target = this.path(key);
    if ((await this.stat(key)) !== null) return false;
    await this.makeDirectory(dirname(target));
    const temporary = join(dirname(target), `.${randomUUID()}.tmp`);
    try {
      const linked = await linkIfPossible(path, temporary);
      const found = linked ? await hashOf(temporary) : await copyHashed(path, temporary);
      if (found !== sha256) throw new DamagedSource(`${path} has checksum ${found}, not ${sha256}`);
      return await this.putFile(key, temporary);
    } catch (error) {
      throw explain(key, error);
    } finally {
      await fs.rm(temporary, { force: true });
    }
  }

  async get(key: string): Promise<Uint8Array> {
    return fs.readFile(this.path(key));
  }

  async *read(key: string): AsyncIterable<Uint8Array> {
    yield* createReadStream(this.path(key), { highWaterMark: PIECE_BYTES });
  }

  async stat(key: string): Promise<ObjectInfo | null> {
    const info = await fs.stat(this.path(key)).catch(noneIfAbsent);
    if (Array.isArray(info) || !info.isFile()) return null;
    return { key, bytes: info.size, modifiedMs: info.mtimeMs };
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    const folder = this.path(prefix);
    const entries = await fs.readdir(folder, { withFileTypes: true }).catch(noneIfAbsent);
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const key = `${prefix}/${entry.name}`;
      if (!isKey(key)) continue;
      if (entry.isDirectory()) yield* this.list(key);
      else if (entry.isFile()) {
        const info = await fs.stat(join(folder, entry.name)).catch(noneIfAbsent);
        // Deleted since the listing: it is no object any more.
        if (!Array.isArray(info)) yield { key, bytes: info.size, modifiedMs: info.mtimeMs };
      }
    }
  }

  async delete(key: string): Promise<boolean> {
    const target = this.path(key);
    try {
      await fs.unlink(target);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return false;
      throw error;
    }
    await syncPath(dirname(target));
    return true;
  }

  /** Makes a directory and its parents durable, and sure to lie inside the root. */
  private async makeDirectory(path: string): Promise<void> {
    if (this.ready.has(path)) return;
    if (path !== this.root) {
      await this.makeDirectory(dirname(path));
      await fs.mkdir(path).catch((error: unknown) => {
        if (codeOf(error) !== 'EEXIST') throw error;
      });
      await syncPath(dirname(path));
    }
    const real = await fs.realpath(path);
    const inside = real === this.root || real.startsWith(this.root + sep);
    assert(inside, `the directory ${path} leads out of ${this.root}`);
    this.ready.add(path);
  }
}

async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  const file = await fs.open(path, 'wx');
  try {
    await writeAll(file, bytes);
  } finally {
    await file.close();
  }
}

/** A write may be short and still succeed (full disk, size limit), so it is repeated. */
export async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done);
    if (bytesWritten === 0) throw Object.assign(new Error('short write'), { code: 'ENOSPC' });
    done += bytesWritten;
  }
}

/** A rename would replace a file of that name in silence; a second link never does. */
async function moveIfAbsent(path: string, target: string): Promise<void> {
  try {
    await fs.link(path, target);
  } catch (error) {
    if (!NO_LINKS.has(codeOf(error) ?? '')) throw error;
    // A file system without hard links. The generated keys are unique, so looking first will do.
    const taken = await fs.stat(target).catch(noneIfAbsent);
    if (!Array.isArray(taken)) throw Object.assign(new Error('exists'), { code: 'EEXIST' });
    return fs.rename(path, target);
  }
  await fs.unlink(path);
}

/** Pieces in which files are read: hashing one takes the thread well under a millisecond. */
export const PIECE_BYTES = 256 * 1024;

/** False where the two paths lie on different file systems, or on one without hard links. */
async function linkIfPossible(path: string, target: string): Promise<boolean> {
  try {
    await fs.link(path, target);
    return true;
  } catch (error) {
    const code = codeOf(error) ?? '';
    if (code === 'EXDEV' || NO_LINKS.has(code)) return false;
    throw error;
  }
}

/** Copies a file and answers the SHA-256 of what was read, hex. */
async function copyHashed(path: string, target: string): Promise<string> {
  const hash = createHash('sha256');
  const file = await fs.open(target, 'wx');
  try {
    for await (const piece of createReadStream(path, { highWaterMark: PIECE_BYTES })) {
      hash.update(piece);
      await writeAll(file, piece);
    }
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

/** The SHA-256 of a file, hex. */
export async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path, { highWaterMark: PIECE_BYTES })) {
    hash.update(piece);
  }
  return hash.digest('hex');
}

const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/** fsync of a file, or of a directory's entries. */
async function syncPath(path: string): Promise<void> {
  const handle = await fs.open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The `code` of an error of the system, e.g. ENOENT. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

function noneIfAbsent(error: unknown): never[] {
  if (codeOf(error) === 'ENOENT') return [];
  throw error;
}

function explain(key: string, error: unknown): unknown {
  const code = codeOf(error);
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error;
  return new Fault('disk_full', 'the disk is full', {
    cause: new Error(`cannot write object ${key}: ${code}`, { cause: error }),
    retryAfterS: 5,
  });
}
