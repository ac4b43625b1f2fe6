import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type Clock, formatUs } from '../base/clock.js';
import { Fault } from '../fault/fault.js';
import { continueLog } from '../log/segments/continue.js';
import { codeOf } from '../objects/local.js';
import type { Objects } from '../objects/objects.js';
import type { BackupProgress } from './create.js';
import {
  type BackupFile,
  databaseKey,
  type Manifest,
  type MissingFile,
  objectKey,
} from './manifest.js';
import type { Mover } from './mover.js';
import { inParallel } from './parallel.js';
import { DATABASE, placeFor, syncFolder } from './place.js';
import { findBackup } from './target.js';

export interface RestoreParts {
  objects: Objects;
  mover: Mover;
  clock: Clock;
  /** The newest format of a data directory that this program knows. */
  format: number;
  /** Null: the backup's own point is restored. */
  timeline: Timeline | null;
}

export interface RestoreOptions {
  /** The new data directory: absent or empty. */
  to: string;
  /** The id of a backup, or `latest`. */
  backup: string;
  /** Only what was there at that time. */
  untilUs: number | null;
  onProgress?: (progress: BackupProgress) => void;
}

export interface RestoreReport extends End {
  id: string;
  /** The data directory. */
  to: string;
  /** When the backup was made. */
  createdUs: number;
  stream: string;
  files: number;
  bytes: number;
  rows: number;
  /** What is not in the restored directory although the catalog names it. */
  missing: MissingFile[];
}

const MOVES_AT_ONCE = 4;

/** Adds to a restored directory what came after the point of its backup. */
export type Timeline = (at: {
  objects: Objects;
  /** The directory being made, the database and the files in it already. */
  dir: string;
  manifest: Manifest;
  /** Null: all there is. */
  untilUs: number | null;
  nowUs: number;
}) => Promise<End>;

/** Where a restore ends. */
export interface End {
  position: number;
  /** What time is restored: later than the backup with what was sent since. */
  throughUs: number;
  /** What else was asked for and is not there, in sentences. */
  gaps: string[];
  /** What came back beyond the backup: records of the log, rows of control tables. */
  records?: number;
  changes?: number;
  /** Erasures and revocations that the backup did not know. */
  erasures?: number;
  revocations?: number;
}

/**
 * Makes a data directory of a backup. All of it is fetched into a directory beside the new one,
 * checked and synced, and only then given its name. Rejects, leaving nothing, if the target
 * directory is not empty, or the manifest or the database is missing or damaged; files that are
 * missing or damaged are told, and the rest is restored.
 */
export async function restore(
  parts: RestoreParts,
  options: RestoreOptions,
): Promise<RestoreReport> {
  const { untilUs } = options;
  const place = await placeFor(resolve(options.to));
  const manifest = await findBackup(parts.objects, options.backup, untilUs ?? undefined);
  refuseUnfit(manifest, parts.format, untilUs);
  await mkdir(place.temporary, { mode: 0o700 });
  try {
    const report = await new Restore(parts, options, manifest).into(place.temporary);
    await place.switchOver();
    return { ...report, to: place.to };
  } catch (error) {
    await rm(place.temporary, { recursive: true, force: true });
    throw error;
  }
}

function refuseUnfit(manifest: Manifest, known: number, untilUs: number | null): void {
  const { id, format, version, createdUs } = manifest;
  if (format > known) {
    throw new Error(`${id} has format ${format} and is of memtrace ${version}: use that or newer`);
  }
  if (untilUs === null || createdUs <= untilUs) return;
  const made = formatUs(createdUs);
  throw new Fault('invalid_field', `${id} was made at ${made}, after the time that is asked for`);
}

/** One restore, of one manifest. */
class Restore {
  private readonly parts: RestoreParts;
  private readonly options: RestoreOptions;
  private readonly manifest: Manifest;
  private readonly missing: MissingFile[];
  private readonly restored: BackupFile[] = [];

  constructor(parts: RestoreParts, options: RestoreOptions, manifest: Manifest) {
    this.parts = parts;
    this.options = options;
    this.manifest = manifest;
    this.missing = [...manifest.missing];
  }

  async into(dir: string): Promise<Omit<RestoreReport, 'to'>> {
    const { id, createdUs, stream, database } = this.manifest;
    await this.fetchDatabase(dir);
    await this.fetchFiles(dir);
    const end = await this.timeline(dir);
    await this.finish(dir, end.position);
    const bytes = this.restored.reduce((sum, file) => sum + file.bytes, database.bytes);
    const events = this.restored.filter(({ role }) => role === 'events');
    const rows = events.reduce((sum, file) => sum + file.rows, 0);
    const { missing } = this;
    return { id, createdUs, stream, files: this.restored.length, bytes, rows, missing, ...end };
  }

  private async fetchDatabase(dir: string): Promise<void> {
    const { id, database } = this.manifest;
    const { sha256 } = await this.parts.mover.fetch(databaseKey(id), join(dir, DATABASE));
    if (sha256 !== database.sha256) {
      throw new Error(`${databaseKey(id)} is damaged: restore another backup (--backup)`);
    }
  }

  private async fetchFiles(dir: string): Promise<void> {
    const { files, totals } = this.manifest;
    const folders = new Set(files.map(({ key }) => join(dir, dirname(key))));
    for (const folder of folders) await mkdir(folder, { recursive: true, mode: 0o700 });
    const progress = { files: 0, ofFiles: files.length, bytes: 0, ofBytes: totals.bytes };
    await inParallel(files, MOVES_AT_ONCE, async (file) => {
      const problem = await this.fetchFile(file, join(dir, file.key));
      if (problem === null) this.restored.push(file);
      else this.miss(file, problem);
      progress.files += 1;
      progress.bytes += file.bytes;
      this.options.onProgress?.({ step: 'restore', ...progress });
    });
    for (const folder of folders) await syncFolder(folder);
  }

  /** What is wrong with the object, or null if it is there and whole. */
  private async fetchFile({ sha256 }: BackupFile, path: string): Promise<string | null> {
    let problem = 'is damaged';
    try {
      const found = await this.parts.mover.fetch(objectKey(sha256), path);
      if (found.sha256 === sha256) return null;
    } catch (error) {
      // The disk of the new directory is another matter, and so is a target out of reach.
      if (codeOf(error) !== 'ENOENT') throw error;
      problem = 'is missing';
    }
    await rm(path, { force: true });
    return `${objectKey(sha256)} ${problem}`;
  }

  private miss({ key, role, bytes, rows }: BackupFile, reason: string): void {
    this.missing.push({ key, role, bytes, rows, reason });
  }

  private async timeline(dir: string): Promise<End> {
    const { manifest } = this;
    const { untilUs } = this.options;
    const { objects, timeline } = this.parts;
    const nowUs = this.parts.clock.nowUs();
    if (timeline !== null) return timeline({ objects, dir, manifest, untilUs, nowUs });
    const { createdUs } = manifest;
    const short = untilUs !== null && untilUs > createdUs;
    const gap = `what came after ${formatUs(createdUs)}, the point of the backup`;
    const position = manifest.positions[manifest.stream];
    return { position, throughUs: createdUs, gaps: short ? [gap] : [] };
  }

  /** What makes the files a data directory that a server opens. */
  private async finish(dir: string, position: number): Promise<void> {
    const { stream, format } = this.manifest;
    const wal = join(dir, 'wal');
    await mkdir(wal, { recursive: true, mode: 0o700 });
    const nowUs = this.parts.clock.nowUs();
    if ((await readdir(wal)).length === 0) continueLog(wal, { stream, position, nowUs });
    await writeFile(join(dir, 'format.json'), `${JSON.stringify({ format })}\n`, { flush: true });
    for (const name of ['events', 'dedup']) {
      await mkdir(join(dir, name), { recursive: true, mode: 0o700 });
      await syncFolder(join(dir, name));
    }
    await syncFolder(dir);
  }
}
