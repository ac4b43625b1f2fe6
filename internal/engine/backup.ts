import { relative, resolve, sep } from 'node:path';
import { type BackupProgress, type BackupReport, createBackup } from '../backup/create.js';
import { readIncarnation } from '../backup/incarnation.js';
import type { Manifest } from '../backup/manifest.js';
import { ThreadMover } from '../backup/mover.js';
import type { Source } from '../backup/source.js';
import { Mutex } from '../base/mutex.js';
import { Fault } from '../fault/fault.js';
import { openObjects, s3SettingsOf } from '../objects/open.js';
import type { S3Settings } from '../objects/s3.js';
import { FORMAT_VERSION } from './datadir.js';
import type { Opened } from './opened.js';
import type { Host } from './services.js';
import { VERSION } from './version.js';

export interface BackupOrder {
  /** An absolute directory, or a URL like s3://bucket/prefix. */
  to: string;
  kind: Manifest['kind'];
  /** Who asks S3, and where; default: the options of [backup]. */
  settings?: S3Settings;
  onProgress?: (progress: BackupProgress) => void;
}

/** Makes backups of what is open, one at a time. */
export class Backups {
  private readonly host: Pick<Host, 'config' | 'clock' | 'ulids' | 'log'>;
  private readonly opened: Opened;
  private readonly turn = new Mutex();
  private mover: ThreadMover | null = null;
  private closing = false;

  constructor(host: Pick<Host, 'config' | 'clock' | 'ulids' | 'log'>, opened: Opened) {
    this.host = host;
    this.opened = opened;
  }

  /** Waits for one under way. Rejects if the place refuses, or the server is stopped. */
  create(order: BackupOrder): Promise<BackupReport> {
    return this.turn.run(() => this.createNow(order));
  }

  /** Ends the one under way, which rejects; what it copied is used by the next one. */
  async close(): Promise<void> {
    this.closing = true;
    await this.mover?.close();
    await this.turn.run(async () => undefined);
  }

  private async createNow(order: BackupOrder): Promise<BackupReport> {
    if (this.closing) throw new Fault('draining', 'the server is shutting down');
    const { config, clock, ulids, log } = this.host;
    const settings = order.settings ?? s3SettingsOf(config.backup);
    refuseInside(config.storage.dataDir, order.to);
    const objects = await openObjects(order.to, settings);
    const mover = new ThreadMover({ place: order.to, settings });
    this.mover = mover;
    try {
      const source = sourceOf(this.opened);
      const report = await createBackup({ source, objects, mover, clock, ulids }, order);
      const { id, kind, position, files, bytes, missing } = report;
      const copied = { copied_files: report.copiedFiles, copied_bytes: report.copiedBytes };
      const done = { id, kind, position, files, bytes, ...copied };
      if (missing.length === 0) log.info({ backup: done }, 'made a backup');
      else log.error({ backup: done, missing }, 'made a backup that lacks damaged files');
      return report;
    } finally {
      this.mover = null;
      await mover.close();
    }
  }
}

function sourceOf({ dir, wal, flusher, store, dedup, metadata }: Opened): Source {
  return {
    dataDir: dir.root,
    tmpDir: dir.tmp,
    stream: wal.stream,
    incarnation: readIncarnation(dir.root)?.id ?? null,
    version: VERSION,
    format: FORMAT_VERSION,
    flush: () => flusher.flushSoFar(),
    hold: () => {
      const releases = [store.hold(), dedup.hold()];
      return () => {
        for (const release of releases) release();
      };
    },
    snapshot: (path) => metadata.snapshot(path),
  };
}

/** Such a backup would be lost with what it is to save. */
export function refuseInside(dataDir: string, place: string): void {
  if (place.includes('://')) return;
  const path = relative(resolve(dataDir), resolve(place));
  if (path === '..' || path.startsWith(`..${sep}`)) return;
  throw new Fault('invalid_field', `${place} lies in the data directory that is to be saved`);
}
