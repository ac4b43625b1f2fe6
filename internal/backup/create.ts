import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { known } from '../base/assert.js';
import { type Clock, US_PER_MS } from '../base/clock.js';
import type { UlidFactory } from '../base/ulid.js';
import { codeOf } from '../objects/local.js';
import { DamagedSource, type Objects } from '../objects/objects.js';
import {
  type BackupFile,
  databaseKey,
  encodeManifest,
  FILES,
  type Manifest,
  type MissingFile,
  manifestKey,
  markerKey,
  objectKey,
} from './manifest.js';
import type { Mover } from './mover.js';
import { inParallel } from './parallel.js';
import { type Named, readSnapshot, type Snapshot, type Source } from './source.js';
import { discard, entriesOf, mark } from './target.js';

export interface CreateParts {
  source: Source;
  objects: Objects;
  mover: Mover;
  clock: Clock;
  ulids: UlidFactory;
}

export interface CreateOptions {
  kind: Manifest['kind'];
  onProgress?: (progress: BackupProgress) => void;
}

export interface BackupProgress {
  step: 'copy' | 'verify' | 'restore';
  files: number;
  ofFiles: number;
  bytes: number;
  ofBytes: number;
}

export interface BackupReport {
  id: string;
  kind: Manifest['kind'];
  createdUs: number;
  stream: string;
  /** The log position that the backup is consistent with. */
  position: number;
  files: number;
  bytes: number;
  rows: number;
  /** What was not in the target yet. */
  copiedFiles: number;
  copiedBytes: number;
  /** What was read again in the target. */
  verifiedFiles: number;
  /** Objects that were damaged in the target and copied again. */
  repaired: string[];
  /** What the backup lacks. */
  missing: MissingFile[];
  warnings: string[];
}

const MOVES_AT_ONCE = 4;

/**
 * Makes a backup of a store that goes on working: flushes, copies the database at one moment, and
 * then every file that this copy names and that is not in the target yet; the manifest comes last.
 * A crash anywhere leaves objects that a later backup uses or a prune removes. Rejects if the
 * target or the database refuses; a damaged file is told in the report. One at a time.
 */
export async function createBackup(
  parts: CreateParts,
  options: CreateOptions,
): Promise<BackupReport> {
  const { source, objects, clock, ulids } = parts;
  await removeLeftovers(source.tmpDir);
  const id = `bak_${ulids.next(Math.floor(clock.nowUs() / US_PER_MS))}`;
  const path = join(source.tmpDir, `${id}.db`);
  const warnings: string[] = [];
  await source.flush().catch((error: unknown) => {
    // The log has it, and the backup is of what the files have: better than none on a full disk.
    warnings.push(`what is only in the log is not in the backup: ${messageOf(error)}`);
  });
  await mark(objects, id);
  const release = source.hold();
  try {
    const createdUs = clock.nowUs();
    await source.snapshot(path);
    const backup = new Backup(parts, options, { id, createdUs, path });
    const report = await backup.run(await readSnapshot(path));
    return { ...report, warnings };
  } catch (error) {
    await discard(objects, id).catch(() => undefined);
    throw error;
  } finally {
    release();
    await removeLeftovers(source.tmpDir);
  }
}

/** Copies of the database, of this backup or of one that a crash ended. */
async function removeLeftovers(tmpDir: string): Promise<void> {
  for (const name of await readdir(tmpDir)) {
    if (/^bak_[0-9A-Z]{26}\.db(-wal|-shm|-journal)?$/.test(name)) await rm(join(tmpDir, name));
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** One backup, from the copy of the database on. */
class Backup {
  private readonly parts: CreateParts;
  private readonly options: CreateOptions;
  private readonly begun: { id: string; createdUs: number; path: string };
  private readonly files: BackupFile[] = [];
  private readonly missing: MissingFile[] = [];
  private readonly repaired: string[] = [];
  private copiedFiles = 0;
  private copiedBytes = 0;
  private verifiedFiles = 0;

  constructor(
    parts: CreateParts,
    options: CreateOptions,
    begun: { id: string; createdUs: number; path: string },
  ) {
    this.parts = parts;
    this.options = options;
    this.begun = begun;
  }

  async run(snapshot: Snapshot): Promise<Omit<BackupReport, 'warnings'>> {
    const { objects, mover } = this.parts;
    const { id, path } = this.begun;
    await this.copyAll(snapshot.files);
    await this.confirm();
    const sha256 = await mover.hash(path);
    await mover.copy(databaseKey(id), path, sha256);
    const written = known(await mover.check(databaseKey(id)), 'the database just written');
    if (written.sha256 !== sha256) throw new Error(`${databaseKey(id)} is not what was written`);
    const manifest = this.manifest(snapshot, written);
    if (!(await objects.put(manifestKey(id), Buffer.from(encodeManifest(manifest))))) {
      throw new Error(`there is a manifest of ${id} already`);
    }
    await objects.delete(markerKey(id));
    return this.report(manifest);
  }

  private async copyAll(named: readonly Named[]): Promise<void> {
    const present = await presentFiles(this.parts.objects);
    const known = await this.knownHashes(named);
    const ofBytes = named.reduce((sum, { bytes }) => sum + bytes, 0);
    const progress = { files: 0, ofFiles: named.length, bytes: 0, ofBytes };
    await inParallel(named, MOVES_AT_ONCE, async (file) => {
      try {
        const sha256 = file.sha256 ?? known.get(file.key) ?? (await this.hashOf(file));
        const { key, bytes, rows, role } = file;
        const wanted = { key, sha256, bytes, rows, role, mark: file.mark };
        await this.copy(wanted, present);
        this.files.push(wanted);
      } catch (error) {
        this.miss(file, error);
      }
      progress.files += 1;
      progress.bytes += file.bytes;
      this.options.onProgress?.({ step: 'copy', ...progress });
    });
    this.files.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  private hashOf(file: Named): Promise<string> {
    return this.parts.mover.hash(join(this.parts.source.dataDir, file.key));
  }

  /** Files are immutable: one of the same key and mark as in an earlier backup has its checksum. */
  private async knownHashes(named: readonly Named[]): Promise<Map<string, string>> {
    const wanted = new Map(
      named.filter(({ sha256 }) => sha256 === null).map((file) => [file.key, file.mark]),
    );
    if (wanted.size === 0) return new Map();
    const entries = await entriesOf(this.parts.objects);
    const files = entries.flatMap(({ manifest }) => manifest?.files ?? []);
    const equal = files.filter(({ key, mark }) => wanted.get(key) === mark);
    return new Map(equal.map(({ key, sha256 }) => [key, sha256]));
  }

  private async copy(file: BackupFile, present: Map<string, number>): Promise<void> {
    const { objects, mover, source } = this.parts;
    const object = objectKey(file.sha256);
    const there = present.get(object);
    if (there === file.bytes) return;
    if (there !== undefined) {
      await objects.delete(object);
      this.repaired.push(object);
    }
    if (!(await mover.copy(object, join(source.dataDir, file.key), file.sha256))) return;
    this.copiedFiles += 1;
    this.copiedBytes += file.bytes;
  }

  /** Only what is wrong with this one file; that the target refuses ends the backup. */
  private miss({ key, role, bytes, rows }: Named, error: unknown): void {
    const gone = codeOf(error) === 'ENOENT';
    if (!gone && !(error instanceof DamagedSource)) throw error;
    const reason = gone ? 'the file is not there' : 'the file is damaged';
    this.missing.push({ key, role, bytes, rows, reason });
  }

  /**
   * Everything is there, once more: a full backup reads it all; another one looks for it, as a
   * prune of another process may have begun before this backup.
   */
  private async confirm(): Promise<void> {
    if (this.options.kind === 'incremental') {
      const present = await presentFiles(this.parts.objects);
      await inParallel(this.files, MOVES_AT_ONCE, (file) => this.copy(file, present));
      return;
    }
    const ofBytes = this.files.reduce((sum, { bytes }) => sum + bytes, 0);
    const progress = { files: 0, ofFiles: this.files.length, bytes: 0, ofBytes };
    await inParallel(this.files, MOVES_AT_ONCE, async (file) => {
      await this.verify(file);
      this.verifiedFiles += 1;
      progress.files += 1;
      progress.bytes += file.bytes;
      this.options.onProgress?.({ step: 'verify', ...progress });
    });
  }

  private async verify(file: BackupFile): Promise<void> {
    const { objects, mover, source } = this.parts;
    const object = objectKey(file.sha256);
    if ((await mover.check(object))?.sha256 === file.sha256) return;
    await objects.delete(object);
    await mover.copy(object, join(source.dataDir, file.key), file.sha256);
    if ((await mover.check(object))?.sha256 !== file.sha256) {
      throw new Error(`the target does not give back what was written to ${object}`);
    }
    this.repaired.push(object);
  }

  private manifest(snapshot: Snapshot, database: Manifest['database']): Manifest {
    const { source } = this.parts;
    const { id, createdUs } = this.begun;
    const events = this.files.filter(({ role }) => role === 'events');
    const rows = events.reduce((sum, file) => sum + file.rows, 0);
    const bytes = this.files.reduce((sum, file) => sum + file.bytes, database.bytes);
    return {
      id,
      createdUs,
      kind: this.options.kind,
      version: source.version,
      format: source.format,
      stream: source.stream,
      incarnation: source.incarnation,
      positions: { ...snapshot.positions, [source.stream]: positionOf(snapshot, source.stream) },
      database: { sha256: database.sha256, bytes: database.bytes },
      files: this.files,
      missing: this.missing,
      totals: { files: this.files.length, bytes, rows },
    };
  }

  private report(manifest: Manifest): Omit<BackupReport, 'warnings'> {
    const { id, kind, createdUs, stream, totals, missing } = manifest;
    const { copiedFiles, copiedBytes, verifiedFiles, repaired } = this;
    const position = manifest.positions[stream];
    const done = { copiedFiles, copiedBytes, verifiedFiles, repaired, missing };
    return { id, kind, createdUs, stream, position, ...totals, ...done };
  }
}

function positionOf({ positions }: Snapshot, stream: string): number {
  return positions[stream] ?? 0;
}

/** Sizes of the objects below files/. */
async function presentFiles(objects: Objects): Promise<Map<string, number>> {
  const present = new Map<string, number>();
  for await (const { key, bytes } of objects.list(FILES)) present.set(key, bytes);
  return present;
}
