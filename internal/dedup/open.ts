import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { UlidFactory } from '../base/ulid.js';
import type { DedupCatalog, DedupDamage, DedupRun } from './dedup.js';
import { KeyHasher } from './hash.js';
import { Maintainer } from './maintain.js';
import { RunIndex } from './run-index.js';
import { type Run, RunSet } from './runset.js';
import { RunThread } from './thread.js';

export type { DedupIndex } from './dedup.js';

export interface DedupOptions {
  /** Absolute, `<data_dir>/dedup`; made if it is not there. This process has it for itself. */
  dir: string;
  windowUs: number;
  /** What the catalog names, oldest first: positions of two streams do not compare. */
  runs: readonly DedupRun[];
  catalog: DedupCatalog;
  nowUs: number;
  /** Keys were lost, so duplicates of them may pass: count it and say it (C6). */
  onDamage(damage: DedupDamage): void;
  /** A background step failed, which is tried again after the next flush; or a thread died. */
  onError?(error: unknown): void;
  ulids?: UlidFactory;
}

/**
 * Opens the index. Events in the log beyond the catalog's position must be given to `replay`
 * before the first `reserve`. Filters are loaded behind its back; until then lookups are slow
 * (one read a run), never wrong. Rejects with Fault `store_unavailable` if the disk refuses.
 */
export async function openDedup(options: DedupOptions): Promise<RunIndex> {
  const { dir, catalog, nowUs, onDamage, onError = () => undefined } = options;
  const reader = new RunThread(onError);
  const writer = new RunThread(onError);
  try {
    const keep = options.runs.map((row) => basename(row.path));
    if (!isEmpty(dir)) await writer.call('sweep', { directory: dir, keep });
    const runs = new RunSet(reader, onDamage);
    const secret = (await openRuns(options, { runs, writer })) ?? randomBytes(32);
    const ulids = options.ulids ?? new UlidFactory();
    const common = { dir, windowUs: options.windowUs, secret, runs, writer, catalog, ulids };
    const maintainer = new Maintainer({ ...common, onDamage, onError }, nowUs);
    maintainer.kick();
    return new RunIndex({ ...common, hasher: new KeyHasher(secret), reader, maintainer });
  } catch (error) {
    await Promise.all([reader.end(), writer.end()]);
    throw error;
  }
}

/** A first start has nothing to sweep, and no thread to start for it. */
function isEmpty(dir: string): boolean {
  try {
    return readdirSync(dir).length === 0;
  } catch {
    // Not there, or not readable: the sweep makes it or says why not.
    return false;
  }
}

/** Opens what is whole and puts the rest aside; returns the secret that the runs were made with. */
async function openRuns(
  { dir, catalog, runs: rows, onDamage }: DedupOptions,
  { runs, writer }: { runs: RunSet; writer: RunThread },
): Promise<Uint8Array | null> {
  let secret: Uint8Array | null = null;
  const whole: Run[] = [];
  const newestFirst = [...rows].reverse();
  for (const row of newestFirst) {
    const file = join(dir, basename(row.path));
    const opened = await runs.open(row, file);
    const foreign = typeof opened !== 'string' && secret !== null && !same(secret, opened.secret);
    if (typeof opened === 'string' || foreign) {
      const reason = typeof opened === 'string' ? opened : 'it belongs to another index';
      await writer.call('quarantine', [file]);
      await catalog.replaceDedupRuns([row.path], []);
      onDamage({ path: row.path, reason, keys: row.keys });
      continue;
    }
    secret ??= opened.secret;
    whole.push(opened.run);
  }
  runs.runs = whole;
  return secret;
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
