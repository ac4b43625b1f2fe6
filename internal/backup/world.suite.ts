import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { known } from '../base/assert.js';
import { systemClock } from '../base/clock.js';
import { UlidFactory } from '../base/ulid.js';
import type { Metadata, Partition } from '../metadata/metadata.js';
import { openSqliteMetadata } from '../metadata/sqlite/sqlite.js';
import { LocalObjects } from '../objects/local.js';
import type { Objects } from '../objects/objects.js';
import { type BackupReport, createBackup } from './create.js';
import { DirectMover } from './mover.js';
import type { Source } from './source.js';

/** A data directory without a server: a real catalog, and files whose content does not matter. */
export class World implements Source {
  readonly stream = 'w_01JD0000000000000000000000.1';
  readonly incarnation = null;
  readonly version = 'test';
  readonly format = 1;
  readonly ulids = new UlidFactory();
  readonly dataDir: string;
  readonly tmpDir: string;
  readonly target: LocalObjects;
  private readonly metadata: Metadata;
  private position = 0;
  /** How many holds are open. */
  held = 0;
  /** What runs once the snapshot is taken. */
  afterSnapshot: () => Promise<void> = async () => undefined;

  private constructor(root: string, metadata: Metadata, target: LocalObjects) {
    this.dataDir = join(root, 'data');
    this.tmpDir = join(root, 'data/tmp');
    this.metadata = metadata;
    this.target = target;
  }

  static async open(): Promise<World> {
    const root = await mkdtemp(join(tmpdir(), 'backup-'));
    await mkdir(join(root, 'data/tmp'), { recursive: true });
    const metadata = await openSqliteMetadata({ path: join(root, 'data/memtrace.db') });
    return new World(root, metadata, await LocalObjects.open(join(root, 'target')));
  }

  async close(): Promise<void> {
    await this.metadata.close();
    await rm(dirname(this.dataDir), { recursive: true });
  }

  /** Adds a file with these bytes to the catalog; its path. */
  async addFile(content: string): Promise<string> {
    const id = this.ulids.next(Date.now());
    const key = `events/2026-11-28/${id}.parquet`;
    const path = join(this.dataDir, key);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
    const from = this.position;
    this.position += 1;
    await this.metadata.catalog.commitFlush({
      stream: this.stream,
      from,
      to: this.position,
      partitions: [partitionOf(`par_${id}`, key, { content, position: this.position })],
      dedupRun: null,
    });
    return path;
  }

  /** The catalog stops to name all files, as after a merge. */
  async dropAll(): Promise<void> {
    const all = await this.metadata.catalog.partitions();
    await this.metadata.catalog.replace(
      all.map(({ id }) => id),
      [],
    );
  }

  async flush(): Promise<void> {}

  hold(): () => void {
    this.held += 1;
    return () => {
      this.held -= 1;
    };
  }

  async snapshot(path: string): Promise<void> {
    await this.metadata.snapshot(path);
    await this.afterSnapshot();
  }

  backup(kind: 'full' | 'incremental', objects: Objects = this.target): Promise<BackupReport> {
    const mover = new DirectMover(objects);
    const { ulids } = this;
    return createBackup({ source: this, objects, mover, clock: systemClock, ulids }, { kind });
  }
}

function partitionOf(
  id: string,
  key: string,
  { content, position }: { content: string; position: number },
): Partition {
  return {
    id,
    stream: 'w_01JD0000000000000000000000.1',
    fromPosition: position,
    toPosition: position,
    key,
    location: 'local',
    day: 20_785,
    rows: 1,
    bytes: content.length,
    checksum: createHash('sha256').update(content).digest('hex'),
    minTimeUs: 1,
    maxTimeUs: 2,
    minExpiresUs: null,
    level: 0,
    state: 'live',
  };
}

/** Objects that stop to work after so many changes, as if the process had been killed there. */
export function dyingAfter(changes: number, objects: Objects): Objects & { died: boolean } {
  let left = changes;
  const dying = { died: false };
  const change = async <T>(work: () => Promise<T>): Promise<T> => {
    if (left === 0) dying.died = true;
    if (dying.died) throw new Error('killed');
    left -= 1;
    return work();
  };
  return Object.assign(dying, {
    put: (key: string, bytes: Uint8Array) => change(() => objects.put(key, bytes)),
    putFile: (key: string, path: string) => change(() => objects.putFile(key, path)),
    copyFile: (key: string, path: string, sha256: string) =>
      change(() => objects.copyFile(key, path, sha256)),
    delete: (key: string) => change(() => objects.delete(key)),
    get: (key: string) => objects.get(key),
    read: (key: string) => objects.read(key),
    stat: (key: string) => objects.stat(key),
    list: (prefix: string) => objects.list(prefix),
  });
}

/** The last one of a list that is not empty. */
export function last<T>(items: readonly T[]): T {
  return known(items.at(-1), 'the last item');
}
