import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { assert } from '../../base/assert.js';
import { dayName } from '../../base/clock.js';
import { Mutex } from '../../base/mutex.js';
import { Fault } from '../../fault/fault.js';
import type { Catalog, Partition } from '../../metadata/metadata.js';
import { codeOf, type LocalObjects } from '../../objects/local.js';
import type { SealedBatch } from '../store.js';
import { copyDay, rowLinesSource, selectSpans, spanOfRow } from './copy.js';
import { type Duck, type Run, SqlError } from './duck.js';
import type { DuckThread } from './duck-thread.js';
import type { Inspection } from './inspect.js';
import type { Inspector } from './inspector.js';
import { type DaySummary, summarize, writeRowLines } from './rowlines.js';

/**
 * Batch → row lines → one Parquet file per UTC day → checked by the second reader → spans staged →
 * ONE catalog transaction.
 *
 * Invariant: nothing is visible before that transaction, and everything is durable before it. A
 * failure anywhere leaves at most orphan files, which the sweep takes; a batch can be tried again.
 */
export interface FlushParts {
  duck: Duck;
  /** For large batches: it gives way to writers. */
  thread: DuckThread;
  catalog: Catalog;
  objects: LocalObjects;
  inspector: Inspector;
  /** On the file system of the objects. */
  tmpDir: string;
  ulid: () => string;
  /** The file was just checked: reads need not do it again. */
  trust(partitionId: string): void;
}

export interface FlushResult {
  files: number;
  rows: number;
  bytes: number;
}

/** Below this a batch is written where reads run: it is over before a thread would have begun. */
const THREAD_ROWS = 5_000;

export class FlushWriter {
  private readonly parts: FlushParts;
  private readonly turn = new Mutex();
  /** Keys of files that no catalog may name yet: not orphans. */
  readonly inFlight = new Set<string>();

  constructor(parts: FlushParts) {
    this.parts = parts;
  }

  /** Null if the catalog covers the batch already. Rejects with a Fault: nothing is visible. */
  write(batch: SealedBatch): Promise<FlushResult | null> {
    return this.turn.run(async () => {
      try {
        return await this.writeOnce(batch);
      } catch (error) {
        throw explain(error);
      }
    });
  }

  /** Resolves once no write is under way. */
  idle(): Promise<void> {
    return this.turn.run(async () => undefined);
  }

  private async writeOnce(batch: SealedBatch): Promise<FlushResult | null> {
    const { stream, from, to, events } = batch;
    assert(from <= to, `a batch from ${from} to ${to}`);
    const at = await this.parts.catalog.position(stream);
    if (at >= to) return null;
    if (at !== from) {
      const cause = new Error(`batch ${from}–${to} of ${stream}, but the catalog is at ${at}`);
      throw new Fault('internal', 'the batch does not follow what is stored', { cause });
    }
    const partitions: Partition[] = [];
    try {
      if (events.length > 0) await this.writeFiles(batch, partitions);
      await this.commit(batch, partitions);
    } catch (error) {
      await this.discard(partitions);
      throw error;
    } finally {
      for (const { key } of partitions) this.inFlight.delete(key);
    }
    for (const { id } of partitions) this.parts.trust(id);
    const bytes = partitions.reduce((sum, partition) => sum + partition.bytes, 0);
    return { files: partitions.length, rows: events.length, bytes };
  }

  /** Fills `partitions` as it goes, so that a failure knows what to discard. */
  private async writeFiles(batch: SealedBatch, partitions: Partition[]): Promise<void> {
    const { tmpDir, ulid } = this.parts;
    const path = join(tmpDir, `${ulid()}.ndjson`);
    try {
      await writeRowLines(path, batch.lines);
      const days = await summarize(batch.events);
      await this.session(batch.events.length, async (run) => {
        const one = days.length === 1;
        const lines = rowLinesSource(path, batch.longestLine);
        const source = one ? lines : await loadOnce(run, lines);
        for (const day of days) {
          const copy = { source, whole: one, day };
          partitions.push(await this.writeDay(run, batch, copy));
        }
        if (!one) await run(DROP_BATCH);
      });
    } finally {
      await rm(path, { force: true });
    }
  }

  private session(rows: number, task: (run: Run) => Promise<void>): Promise<void> {
    const { duck, thread } = this.parts;
    if (rows < THREAD_ROWS) return duck.session(task);
    return task((sql, values) => thread.run(sql, values));
  }

  private async writeDay(run: Run, batch: SealedBatch, copy: DayCopy): Promise<Partition> {
    const { objects, inspector, tmpDir, ulid } = this.parts;
    const { day } = copy;
    const name = ulid();
    const key = `events/${dayName(day.day)}/${name}.parquet`;
    const temporary = join(tmpDir, `${name}.parquet`);
    const note = JSON.stringify({ stream: batch.stream, from: batch.from, to: batch.to, level: 0 });
    this.inFlight.add(key);
    try {
      await run(copyDay(copy.source, copy.whole ? null : day.day, temporary, note));
      const fresh = await objects.putFile(key, temporary);
      assert(fresh, `the new object ${key} exists already`);
      const inspection = await inspector.inspect(objects.path(key), 'footer');
      checkAgainst(day, inspection, key);
      const partition = partitionOf(batch, { id: `par_${name}`, key, day, inspection });
      await this.stageSpans(run, partition);
      return partition;
    } catch (error) {
      await rm(temporary, { force: true });
      await this.removeObject(key);
      this.inFlight.delete(key);
      throw error;
    }
  }

  /** Taken from the finished file, so a wrong file cannot have right sums. */
  private async stageSpans(run: Run, { id, key, rows }: Partition): Promise<void> {
    const { objects, catalog } = this.parts;
    const spans = (await run(selectSpans(objects.path(key)))).map(spanOfRow);
    const sum = spans.reduce((total, span) => total + span.rows, 0);
    if (sum !== rows) throw new Error(`${key} has ${rows} rows, but its spans have ${sum}`);
    await catalog.stage(id, spans);
  }

  private async commit(batch: SealedBatch, partitions: Partition[]): Promise<void> {
    const { catalog } = this.parts;
    const { stream, from, to, dedupRun } = batch;
    try {
      await catalog.commitFlush({ stream, from, to, partitions, dedupRun });
    } catch (error) {
      // The answer was lost, or the transaction: only the catalog knows. While it does not say, the
      // files stay, as it may name them.
      const at = await catalog.position(stream).catch(() => null);
      if (at === to) return;
      if (at === null) partitions.length = 0;
      throw error;
    }
  }

  private async discard(partitions: readonly Partition[]): Promise<void> {
    for (const { key } of partitions) await this.removeObject(key);
  }

  /** Best effort: what stays is an orphan. */
  private async removeObject(key: string): Promise<void> {
    await this.parts.objects.delete(key).catch(() => false);
  }
}

interface DayCopy {
  /** A SELECT of the whole batch. */
  source: string;
  /** The batch has no other day. */
  whole: boolean;
  day: DaySummary;
}

const DROP_BATCH = 'DROP TABLE batch';

/**
 * Many days would parse the lines as many times: they are loaded once then. A thread may have the
 * table of a batch that failed.
 */
async function loadOnce(run: Run, source: string): Promise<string> {
  await run(`CREATE OR REPLACE TEMP TABLE batch AS ${source}`);
  return 'SELECT * FROM batch';
}

function checkAgainst(day: DaySummary, { content }: Inspection, key: string): void {
  const same =
    content !== undefined &&
    content.rows === day.rows &&
    content.minTimeUs === day.minTimeUs &&
    content.maxTimeUs === day.maxTimeUs &&
    content.minExpiresUs === day.minExpiresUs;
  if (!same) {
    const found = JSON.stringify(content);
    throw new Error(`${key} was to hold ${JSON.stringify(day)}, but holds ${found}`);
  }
}

interface NewFile {
  id: string;
  key: string;
  day: DaySummary;
  inspection: Inspection;
}

function partitionOf(batch: SealedBatch, { id, key, day, inspection }: NewFile): Partition {
  return {
    id,
    stream: batch.stream,
    fromPosition: batch.from + 1,
    toPosition: batch.to,
    key,
    location: 'local',
    day: day.day,
    rows: day.rows,
    bytes: inspection.bytes,
    checksum: inspection.checksum,
    minTimeUs: day.minTimeUs,
    maxTimeUs: day.maxTimeUs,
    minExpiresUs: day.minExpiresUs,
    level: 0,
    state: 'live',
  };
}

function explain(error: unknown): Fault {
  if (error instanceof Fault) return error;
  const full = error instanceof SqlError ? error.kind === 'disk_full' : codeOf(error) === 'ENOSPC';
  if (full || codeOf(error) === 'EDQUOT') {
    return new Fault('disk_full', 'the disk is full', { cause: error, retryAfterS: 5 });
  }
  const message = 'the store cannot be written at the moment';
  return new Fault('store_unavailable', message, { cause: error, retryAfterS: 5 });
}
