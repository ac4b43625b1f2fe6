import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { assert } from '../../base/assert.js';
import { dayName } from '../../base/clock.js';
import type { Catalog, Partition, RowsGone } from '../../metadata/metadata.js';
import type { LocalObjects } from '../../objects/local.js';
import { selectSpans, spanOfRow } from './copy.js';
import type { DuckThread } from './duck-thread.js';
import type { Garbage } from './garbage.js';
import type { Guard } from './guard.js';
import type { Inspection } from './inspect.js';
import { Inspector } from './inspector.js';
import type { Leaving } from './leaving.js';
import {
  addWeights,
  copyKept,
  goneOf,
  selectGone,
  selectWeight,
  type Weight,
  weightOf,
} from './rewrite-sql.js';

/**
 * Files → one file without the rows that leave → checked → spans staged → ONE catalog transaction.
 *
 * Invariant: as of flush.ts. Nothing is visible before that transaction; a failure leaves at most
 * an orphan file. The inputs become garbage by it, and are deleted once no read needs them.
 */
export interface RewriteParts {
  thread: DuckThread;
  catalog: Catalog;
  objects: LocalObjects;
  guard: Guard;
  garbage: Garbage;
  tmpDir: string;
  ulid: () => string;
  /** Keys of files that no catalog may name yet: not orphans. */
  inFlight: Set<string>;
}

export interface RewriteOrder {
  /** Live files of one stream and one day, all at or below `leaving.through` if of its stream. */
  inputs: readonly Partition[];
  leaving: Leaving;
  /** A file is written even if every row stays: inputs become one, and a single one is copied. */
  merge: boolean;
  /** Told in the last moment before rows are gone for good. */
  onGone(gone: readonly RowsGone[]): void;
}

export interface Rewritten {
  /**
   * `stale`: an input is no longer what the order says (replaced, damaged): look again.
   * `unchanged`: no row leaves, so there was nothing to write.
   */
  outcome: 'replaced' | 'unchanged' | 'stale';
  /** Those that were read: the last ones of a merge are left out if they would be too much. */
  inputs: readonly Partition[];
  output: Partition | null;
  rowsGone: number;
  bytesIn: number;
  bytesOut: number;
}

/**
 * Of the inputs of one output, uncompressed. DuckDB sorts within its memory limit, but what it
 * writes it holds beside that.
 */
const MAX_BYTES = 384 * 2 ** 20;
const MAX_ROW_GROUP_ROWS = 8_192;
/** DuckDB's vectors: a row group has a multiple of them. */
const VECTOR_ROWS = 2_048;
/** Uncompressed: large contents make row groups of fewer rows. */
const MAX_ROW_GROUP_BYTES = 32 * 2 ** 20;

export class Rewriter {
  private readonly parts: RewriteParts;
  /** A thread of its own: reads wait for the other one when they first open a file. */
  private readonly inspector = new Inspector();

  constructor(parts: RewriteParts) {
    this.parts = parts;
  }

  async rewrite(order: RewriteOrder): Promise<Rewritten> {
    checkOrder(order);
    const verdicts = await this.parts.guard.verdicts(order.inputs);
    if (verdicts.some((verdict) => verdict !== 'whole')) return nothing('stale', order.inputs);
    const { inputs, weight } = await this.weigh(order);
    const rowsGone = weight.rows - weight.kept;
    const cut = inputs.length === 1 && order.inputs.length > 1;
    const worthIt = rowsGone > 0 || (order.merge && !cut);
    if (!worthIt) return nothing('unchanged', inputs);
    const gone = rowsGone > 0 ? await this.gone(inputs, order.leaving) : [];
    const output = weight.kept > 0 ? await this.write({ ...order, inputs }, weight) : null;
    order.onGone(gone);
    const replaced = await this.replace(inputs, output, gone);
    if (!replaced) return nothing('stale', inputs);
    const bytesIn = inputs.reduce((sum, { bytes }) => sum + bytes, 0);
    const bytesOut = output?.bytes ?? 0;
    return { outcome: 'replaced', inputs, output, rowsGone, bytesIn, bytesOut };
  }

  /** Takes files away without reading them. False if one of them is no longer live. */
  async drop(inputs: readonly Partition[], gone: readonly RowsGone[]): Promise<boolean> {
    return this.replace(inputs, null, gone);
  }

  async close(): Promise<void> {
    await this.parts.thread.close();
    await this.inspector.close();
  }

  /** As many of the inputs as may be read together, and what they weigh. */
  private async weigh(order: RewriteOrder): Promise<{ inputs: Partition[]; weight: Weight }> {
    const inputs: Partition[] = [];
    const weights: Weight[] = [];
    let bytes = 0;
    for (const file of order.inputs) {
      const path = this.parts.objects.path(file.key);
      const weight = await this.weightOf(path, file, order.leaving);
      if (weight.rows !== file.rows) {
        throw new Error(`${file.key} has ${weight.rows} rows instead of ${file.rows}`);
      }
      bytes += weight.bytes;
      if (inputs.length > 0 && bytes > MAX_BYTES) break;
      inputs.push(file);
      weights.push(weight);
    }
    return { inputs, weight: addWeights(weights) };
  }

  private async weightOf(path: string, file?: Partition, leaving?: Leaving): Promise<Weight> {
    const { sql, values } = selectWeight(path, file, leaving);
    const [row] = await this.parts.thread.run(sql, values);
    return weightOf(row);
  }

  private async gone(inputs: readonly Partition[], leaving: Leaving): Promise<RowsGone[]> {
    const newest = new Map<string, number>();
    for (const file of inputs) {
      const statement = selectGone(this.parts.objects.path(file.key), file, leaving);
      if (statement === null) continue;
      for (const row of await this.parts.thread.run(statement.sql, statement.values)) {
        const { orgId, newestUs } = goneOf(row);
        newest.set(orgId, Math.max(newest.get(orgId) ?? 0, newestUs));
      }
    }
    return [...newest].map(([orgId, newestUs]) => ({ orgId, newestUs }));
  }

  private async write(order: RewriteOrder, weight: Weight): Promise<Partition> {
    const { objects, thread, tmpDir, ulid, inFlight } = this.parts;
    const name = ulid();
    const key = `events/${dayName(order.inputs[0].day)}/${name}.parquet`;
    const temporary = join(tmpDir, `${name}.parquet`);
    const range = rangeOf(order.inputs);
    const note = JSON.stringify({ ...range, day: order.inputs[0].day });
    inFlight.add(key);
    try {
      const target = { path: temporary, note, rowGroupRows: rowGroupRows(weight) };
      const pathOf = (of: string) => objects.path(of);
      const copy = copyKept(order.inputs, order.leaving, pathOf, target);
      await thread.run(copy.sql, copy.values);
      const fresh = await objects.putFile(key, temporary);
      assert(fresh, `the new object ${key} exists already`);
      const path = objects.path(key);
      const inspection = await this.inspector.inspect(path, 'footer');
      checkFooter(key, weight, inspection);
      checkRows(key, weight, await this.weightOf(path));
      const partition = partitionOf(order.inputs, { name, key, weight, inspection });
      await this.stageSpans(partition);
      return partition;
    } catch (error) {
      await rm(temporary, { force: true });
      await this.discard(key);
      throw error;
    }
  }

  /** Taken from the finished file, so a wrong file cannot have right sums. */
  private async stageSpans({ id, key, rows }: Partition): Promise<void> {
    const { thread, objects, catalog } = this.parts;
    const spans = (await thread.run(selectSpans(objects.path(key)))).map(spanOfRow);
    const sum = spans.reduce((total, span) => total + span.rows, 0);
    if (sum !== rows) throw new Error(`${key} has ${rows} rows, but its spans have ${sum}`);
    await catalog.stage(id, spans);
  }

  private async replace(
    inputs: readonly Partition[],
    output: Partition | null,
    gone: readonly RowsGone[],
  ): Promise<boolean> {
    const { catalog, garbage, guard, inFlight } = this.parts;
    const ids = inputs.map(({ id }) => id);
    const added = output === null ? [] : [output];
    try {
      const done = await catalog.replace(ids, added, gone).catch(async (error: unknown) => {
        // The answer was lost, or the transaction: only the catalog knows. While it does not say,
        // the output stays, as it may be named.
        const now = await catalog.partitions();
        if (!now.some(({ id }) => ids.includes(id))) return true;
        if (output !== null) await this.discard(output.key);
        throw error;
      });
      if (!done && output !== null) await this.discard(output.key);
      if (!done) return false;
    } finally {
      if (output !== null) inFlight.delete(output.key);
    }
    if (output !== null) guard.trust(output.id);
    guard.forget(ids);
    garbage.add(inputs.map(({ key }) => key));
    return true;
  }

  /** Best effort: what stays is an orphan. */
  private async discard(key: string): Promise<void> {
    const { objects, inFlight } = this.parts;
    await objects.delete(key).catch(() => false);
    inFlight.delete(key);
  }
}

function checkOrder({ inputs, leaving }: RewriteOrder): void {
  const [first] = inputs;
  assert(first !== undefined, 'a rewrite has an input');
  for (const { id, stream, day, toPosition } of inputs) {
    assert(stream === first.stream && day === first.day, `${id} is of another stream or day`);
    const within = stream !== leaving.stream || toPosition <= leaving.through;
    assert(within, `${id} reaches past ${leaving.through}`);
  }
}

function nothing(outcome: Rewritten['outcome'], inputs: readonly Partition[]): Rewritten {
  return { outcome, inputs, output: null, rowsGone: 0, bytesIn: 0, bytesOut: 0 };
}

function rowGroupRows({ bytes, kept }: Weight): number {
  const rows = Math.floor((MAX_ROW_GROUP_BYTES * kept) / bytes / VECTOR_ROWS) * VECTOR_ROWS;
  return Math.min(MAX_ROW_GROUP_ROWS, Math.max(VECTOR_ROWS, rows));
}

function rangeOf(inputs: readonly Partition[]) {
  return {
    stream: inputs[0].stream,
    from: Math.min(...inputs.map(({ fromPosition }) => fromPosition)),
    to: Math.max(...inputs.map(({ toPosition }) => toPosition)),
    level: 1 + Math.max(...inputs.map(({ level }) => level)),
  };
}

/** The second reader agrees with what the inputs were weighed to hold. */
function checkFooter(key: string, weight: Weight, { content }: Inspection): void {
  const same =
    content !== undefined &&
    content.rows === weight.kept &&
    content.minTimeUs === weight.minTimeUs &&
    content.maxTimeUs === weight.maxTimeUs &&
    content.minExpiresUs === weight.minExpiresUs;
  if (!same) {
    const { kept, minTimeUs, maxTimeUs, minExpiresUs } = weight;
    const meant = JSON.stringify({ kept, minTimeUs, maxTimeUs, minExpiresUs });
    throw new Error(`${key} was to hold ${meant}, but holds ${JSON.stringify(content)}`);
  }
}

/** Every value of every row that stays is in the output, and nothing else. */
function checkRows(key: string, meant: Weight, found: Weight): void {
  if (found.rows === meant.kept && found.digest === meant.digest) return;
  throw new Error(`the rows of ${key} are not those of its inputs that stay`);
}

interface NewFile {
  name: string;
  key: string;
  weight: Weight;
  inspection: Inspection;
}

function partitionOf(
  inputs: readonly Partition[],
  { name, key, weight, inspection }: NewFile,
): Partition {
  const { stream, from, to, level } = rangeOf(inputs);
  return {
    id: `par_${name}`,
    stream,
    fromPosition: from,
    toPosition: to,
    key,
    location: 'local',
    day: inputs[0].day,
    rows: weight.kept,
    bytes: inspection.bytes,
    checksum: inspection.checksum,
    minTimeUs: weight.minTimeUs ?? 0,
    maxTimeUs: weight.maxTimeUs ?? 0,
    minExpiresUs: weight.minExpiresUs,
    level,
    state: 'live',
  };
}
