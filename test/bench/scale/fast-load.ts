import { mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { dayName, dayOf, US_PER_DAY } from '../../../internal/base/clock.js';
import { UlidFactory } from '../../../internal/base/ulid.js';
import type { Metadata, Partition } from '../../../internal/metadata/metadata.js';
import { acquireDirLock } from '../../../internal/metadata/sqlite/lock.js';
import { openSqliteMetadata } from '../../../internal/metadata/sqlite/sqlite.js';
import { LocalObjects } from '../../../internal/objects/local.js';
import { copyDay, selectSpans, spanOfRow } from '../../../internal/store/parquet/copy.js';
import { Duck } from '../../../internal/store/parquet/duck.js';
import { Inspector } from '../../../internal/store/parquet/inspector.js';
import { MAX_FILE_ROWS } from '../../../internal/store/parquet/pick.js';
import { type Shape, selectRows } from './rows.js';

/**
 * Fills a data directory with the files that a server would have after its merges: the same COPY,
 * the same check by the second reader, the same spans, the same transaction of the catalog. No
 * server may run on it, but one must have run and ended in order (it made the database, and the
 * log whose positions the files get).
 */
export interface LoadOptions {
  dataDir: string;
  events: number;
  /** Spread evenly over so many days, which end now. */
  days: number;
  label?: string;
  agents?: number;
  /** Rows of a file at most; default: those of a finished one. */
  fileRows?: number;
  onProgress?(events: number): void;
}

export interface Loaded extends Shape {
  events: number;
  files: number;
  bytes: number;
  seconds: number;
}

const LOADER_MEMORY = 3 * 2 ** 30;
const SECOND_ORG = 'org_00000000000000000000000002';

/** Rejects if a server holds the directory, or none ever did. */
export async function fastLoad(options: LoadOptions): Promise<Loaded> {
  const startedAt = performance.now();
  const { dataDir } = options;
  const lock = await acquireDirLock(dataDir, {
    what: 'the loader of a bench',
    pid: process.pid,
    host: hostname(),
    startedAt: new Date().toISOString(),
  });
  const metadata = await openSqliteMetadata({ path: join(dataDir, 'memtrace.db') });
  const loader = await Loader.open(options, metadata);
  try {
    const total = await loader.run();
    return { ...total, seconds: (performance.now() - startedAt) / 1000 };
  } finally {
    await loader.close();
    await metadata.close();
    await lock.release();
  }
}

async function orgsOf(metadata: Metadata): Promise<[string, string]> {
  const [first, second] = await metadata.orgs.list();
  if (first === undefined) throw new Error('no server ever ran on this data directory');
  if (second !== undefined) return [first.id, second.id];
  const org = { id: SECOND_ORG, name: 'second', createdUs: Date.now() * 1000 };
  await metadata.orgs.create({ ...org, retentionDays: null });
  return [first.id, org.id];
}

interface Made {
  shape: Shape;
  objects: LocalObjects;
}

class Loader {
  private readonly ulids = new UlidFactory();
  private readonly inspector = new Inspector();
  private files = 0;
  private bytes = 0;

  private readonly options: LoadOptions;
  private readonly metadata: Metadata;
  private readonly shape: Shape;
  private readonly objects: LocalObjects;
  private readonly duck: Duck;
  private readonly tmp: string;

  private constructor(options: LoadOptions, metadata: Metadata, made: Made) {
    this.options = options;
    this.metadata = metadata;
    this.shape = made.shape;
    this.objects = made.objects;
    this.tmp = join(made.objects.root, 'tmp');
    this.duck = new Duck({
      memoryLimitBytes: LOADER_MEMORY,
      threads: 2,
      maxConcurrent: 1,
      directories: [made.objects.root],
      spillDirectory: join(this.tmp, 'load'),
    });
  }

  static async open(options: LoadOptions, metadata: Metadata): Promise<Loader> {
    const { dataDir, events, days } = options;
    const objects = await LocalObjects.open(dataDir);
    mkdirSync(join(objects.root, 'tmp'), { recursive: true });
    await objects.makeFolder('events');
    const stepUs = Math.floor((days * US_PER_DAY) / events);
    const shape: Shape = {
      label: options.label ?? 'scale',
      startUs: Date.now() * 1000 - stepUs * events,
      stepUs,
      agents: options.agents ?? 200,
      orgs: await orgsOf(metadata),
    };
    return new Loader(options, metadata, { shape, objects });
  }

  async run(): Promise<Omit<Loaded, 'seconds'>> {
    const { events, onProgress } = this.options;
    const [first] = this.shape.orgs;
    const { through } = await this.metadata.catalog.locate({ orgId: first });
    const [stream, position] = Object.entries(through)[0] ?? [];
    if (stream === undefined || position === undefined) {
      throw new Error('the catalog has no log position: write an event first');
    }
    let at = position;
    for (const [from, to] of this.pieces()) {
      const partition = await this.writeFile(from, to, { stream, position: at + 1 });
      const commit = { stream, from: at, to: at + 1, partitions: [partition], dedupRun: null };
      await this.metadata.catalog.commitFlush(commit);
      at += 1;
      onProgress?.(to);
    }
    return { ...this.shape, events, files: this.files, bytes: this.bytes };
  }

  async close(): Promise<void> {
    await this.duck.close();
    await this.inspector.close();
  }

  /** Ranges of numbers, each within one UTC day and small enough for one file. */
  private *pieces(): Generator<[number, number]> {
    const { events, fileRows = MAX_FILE_ROWS } = this.options;
    let from = 0;
    while (from < events) {
      const dayEndUs = (dayOf(this.timeOf(from)) + 1) * US_PER_DAY;
      const left = Math.ceil((dayEndUs - this.shape.startUs) / this.shape.stepUs);
      const to = Math.min(events, left);
      const files = Math.ceil((to - from) / fileRows);
      const rows = Math.ceil((to - from) / files);
      for (let n = from; n < to; n += rows) yield [n, Math.min(to, n + rows)];
      from = to;
    }
  }

  private timeOf(n: number): number {
    return this.shape.startUs + n * this.shape.stepUs;
  }

  private writeFile(from: number, to: number, at: { stream: string; position: number }) {
    const day = dayOf(this.timeOf(from));
    const name = this.ulids.next(Date.now());
    const key = `events/${dayName(day)}/${name}.parquet`;
    const temporary = join(this.tmp, `${name}.parquet`);
    const { stream, position } = at;
    const note = JSON.stringify({ stream, from: position - 1, to: position, level: 2 });
    return this.duck.session(async (run): Promise<Partition> => {
      await run(copyDay(selectRows(this.shape, from, to), null, temporary, note));
      await this.objects.putFile(key, temporary);
      const path = this.objects.path(key);
      const { bytes, checksum, content } = await this.inspector.inspect(path, 'footer');
      if (content?.rows !== to - from) throw new Error(`${key} has ${content?.rows} rows`);
      await this.metadata.catalog.stage(
        `par_${name}`,
        (await run(selectSpans(path))).map(spanOfRow),
      );
      this.files += 1;
      this.bytes += bytes;
      const { rows, minTimeUs, maxTimeUs, minExpiresUs } = content;
      const range = { stream, fromPosition: position, toPosition: position };
      const facts = { day, rows, bytes, checksum, minTimeUs, maxTimeUs, minExpiresUs };
      return {
        id: `par_${name}`,
        key,
        ...range,
        ...facts,
        location: 'local',
        level: 2,
        state: 'live',
      };
    });
  }
}
