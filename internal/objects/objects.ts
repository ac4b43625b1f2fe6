/**
 * Immutable objects by key: the files that the catalog names. Put-if-absent and delete are all that
 * ever happens to one; nothing is changed in place. Contract for local directories (local.ts) and
 * S3 (s3.ts); objects.suite.ts holds both to it.
 *
 * Keys are relative and generated, never made of a user's strings: segments of
 * `A-Z a-z 0-9 _ . -` joined by `/`, none of which starts with a dot.
 */
export interface Objects {
  /**
   * Makes the bytes durable under the key. False if the key exists already (what it holds is left
   * as it is). Rejects with Fault `disk_full`, or with the error of the system.
   */
  put(key: string, bytes: Uint8Array): Promise<boolean>;
  /**
   * As `put`, from a finished file, which is gone afterwards if the answer is true. For a local
   * directory the file must lie on the same file system.
   */
  putFile(key: string, path: string): Promise<boolean>;
  /**
   * As `put`, from a file that stays where it is and is never changed: it may become a hard link.
   * `sha256` (hex) is what its bytes must be: rejects with DamagedSource, storing nothing, if not.
   */
  copyFile(key: string, path: string, sha256: string): Promise<boolean>;
  /** Rejects with an error whose `code` is ENOENT if there is no such object. */
  get(key: string): Promise<Uint8Array>;
  /** The bytes in pieces, for large objects. Rejects as `get`, with the first piece. */
  read(key: string): AsyncIterable<Uint8Array>;
  /** Null if there is no such object. */
  stat(key: string): Promise<ObjectInfo | null>;
  /** All objects whose key starts with the folder `prefix` and a slash; none if it is absent. */
  list(prefix: string): AsyncIterable<ObjectInfo>;
  /** False if there was none. The space is free once this resolved, the name also after a crash. */
  delete(key: string): Promise<boolean>;
}

export interface ObjectInfo {
  key: string;
  bytes: number;
  /** When it was written, milliseconds since 1970 by the clock of the store. */
  modifiedMs: number;
}

/** A file is not what its checksum says: copying it would only spread the damage. */
export class DamagedSource extends Error {
  override name = 'DamagedSource';
}
