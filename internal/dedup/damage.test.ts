import { closeSync, openSync, readFileSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { known } from '../base/assert.js';
import type { DedupRun } from './dedup.js';
import { Harness, hexKeys } from './harness.suite.js';

const KEYS = hexKeys(1000, 21);
let harness: Harness;
let ids: string[];
let run: DedupRun;
let file: string;

/** One run of 1,000 keys: 10 blocks of 4 KiB, then fences, filter and footer. */
beforeEach(async () => {
  harness = new Harness();
  await harness.open();
  ids = (await harness.store(KEYS)).map(({ id }) => id);
  run = known(await harness.flush(), 'a run');
  file = join(harness.dir, '..', run.path);
});
afterEach(() => harness.end());

function flipBit(at: number): void {
  const byte = readFileSync(file)[at];
  const fd = openSync(file, 'r+');
  writeSync(fd, Uint8Array.of(byte ^ 4), 0, 1, at);
  closeSync(fd);
}

test('a damaged block loses its own keys only, and says so once', async () => {
  flipBit(3 * 4096 + 77);
  const found = await harness.holders(KEYS);
  const lost = found.filter((id) => id === null).length;
  expect(lost).toBe(102);
  found.forEach((id, i) => {
    if (id !== null) expect(id).toBe(ids[i]);
  });
  expect(harness.damage).toEqual([{ path: run.path, reason: 'blocks 3 are damaged', keys: 102 }]);
  await harness.index.idle();
  // What was whole is in a new run; the damaged file is kept aside.
  expect(harness.catalog.rows).toMatchObject([{ keys: 898 }]);
  expect(harness.files()).toContain(`${file.split('/').at(-1)}.bad`);
  expect(await harness.holders(KEYS)).toEqual(found);
  await harness.crash();
  expect(await harness.holders(KEYS)).toEqual(found);
  expect(harness.damage).toHaveLength(1);
});

test('a merge that meets a damaged block goes on behind it', async () => {
  flipBit(5000);
  for (let i = 0; i < 4; i++) {
    await harness.store(hexKeys(400, 100 + i));
    await harness.flush();
  }
  await harness.index.idle();
  expect(harness.damage).toEqual([{ path: run.path, reason: 'blocks 1 are damaged', keys: 102 }]);
  const keys = harness.catalog.rows.reduce((sum, row) => sum + row.keys, 0);
  expect(keys).toBe(898 + 1600);
  expect(harness.catalog.rows.map(({ path }) => path)).not.toContain(run.path);
  const found = await harness.holders(KEYS);
  expect(found.filter((id) => id === null)).toHaveLength(102);
});

test('a damaged filter loses nothing', async () => {
  await harness.index.close();
  flipBit(10 * 4100 + 500);
  await harness.open();
  await harness.index.idle();
  expect(harness.damage).toMatchObject([{ path: run.path, keys: 0 }]);
  expect(harness.catalog.rows).toMatchObject([{ keys: 1000 }]);
  expect(harness.catalog.rows[0].path).not.toBe(run.path);
  expect(await harness.holders(KEYS)).toEqual(ids);
});

const WHOLE_FILE: [string, () => void][] = [
  ['has a damaged footer', () => flipBit(run.bytes - 100)],
  ['has damaged fences', () => flipBit(10 * 4096 + 5)],
  ['is torn', () => truncateSync(file, run.bytes - 1000)],
  ['is empty', () => truncateSync(file, 0)],
  ['is missing', () => rmSync(file)],
];
for (const [what, harm] of WHOLE_FILE) {
  test(`a run that ${what} is set aside at the start, its keys counted as lost`, async () => {
    await harness.index.close();
    harm();
    await harness.open();
    expect(harness.damage).toMatchObject([{ path: run.path, keys: 1000 }]);
    expect(harness.catalog.rows).toEqual([]);
    expect(await harness.holders(KEYS.slice(0, 3))).toEqual([null, null, null]);
    await harness.store(KEYS);
    await harness.flush();
    expect(harness.files().filter((name) => name.endsWith('.run'))).toHaveLength(1);
  });
}

test('a run of another index is not believed', async () => {
  const other = new Harness();
  try {
    await other.open();
    await other.store(KEYS);
    const foreign = known(await other.flush(), 'a run');
    await harness.index.close();
    const bytes = readFileSync(join(other.dir, '..', foreign.path));
    const fd = openSync(join(harness.dir, '..', foreign.path), 'w');
    writeSync(fd, bytes);
    closeSync(fd);
    harness.catalog.rows.push({ ...foreign, through: 0 });
    await harness.open();
    expect(harness.damage).toMatchObject([{ path: foreign.path, keys: 1000 }]);
    expect(harness.catalog.rows).toHaveLength(1);
    expect(await harness.holders(KEYS)).toEqual(ids);
  } finally {
    await other.end();
  }
});

test('a bit flipped anywhere is never a wrong answer', async () => {
  const random = Array.from({ length: 12 }, (_, i) => Math.floor((run.bytes * (i + 0.5)) / 12));
  for (const at of random) {
    await harness.index.close();
    flipBit(at);
    const lostBefore = harness.damage.reduce((sum, { keys }) => sum + keys, 0);
    await harness.open();
    const found = await harness.holders(KEYS);
    await harness.index.idle();
    const lost = found.filter((id) => id === null).length;
    const said = harness.damage.reduce((sum, { keys }) => sum + keys, 0) - lostBefore;
    expect(lost).toBeLessThanOrEqual(said);
    found.forEach((id, i) => {
      if (id !== null) expect(id).toBe(ids[i]);
    });
    await restore();
  }
});

/** Stores what was lost and flushes, until one run holds all keys again. */
async function restore(): Promise<void> {
  await harness.end();
  harness = new Harness();
  await harness.open();
  ids = (await harness.store(KEYS)).map(({ id }) => id);
  run = known(await harness.flush(), 'a run');
  file = join(harness.dir, '..', run.path);
}
