import { readFile, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { US_PER_DAY } from '../base/clock.js';
import type { Partition } from '../metadata/metadata.js';
import { DAY0, eventAt, NOW_US } from '../store/model.suite.js';
import { Scrubber } from './scrub.js';
import { HOUR_MS, UpkeepWorld } from './world.suite.js';

const INTERVAL_MS = 10 * HOUR_MS;

let world: UpkeepWorld;
let files: Partition[];
const looks: string[] = [];

beforeEach(async () => {
  looks.length = 0;
  world = await UpkeepWorld.open(NOW_US);
  for (let i = 0; i < 4; i++) {
    await world.write([eventAt((DAY0 + i) * US_PER_DAY)]);
    await world.flush();
    world.hands.pass(1_000);
  }
  files = await world.metadata.catalog.partitions();
});
afterEach(() => world.close());

/** Reads what is due, and no more than `most` files; how many were damaged. */
async function scrub(most = Number.POSITIVE_INFINITY): Promise<number> {
  let [read, damaged] = [0, 0];
  const { store } = world;
  const scrubber = new Scrubber({
    clock: world.hands.clock,
    catalog: world.metadata.catalog,
    store: {
      scrub: (file, rate) => {
        looks.push(file.id);
        return store.scrub(file, rate);
      },
    },
    intervalMs: INTERVAL_MS,
    bytesPerSecond: 2 ** 30,
    onChecked: (bytes, isDamaged) => {
      expect(bytes).toBeGreaterThan(0);
      read += 1;
      if (isDamaged) damaged += 1;
      if (read >= most) scrubber.stop();
    },
    onFailed: (error) => {
      throw error;
    },
  });
  scrubber.start();
  await scrubber.ended();
  scrubber.stop();
  return damaged;
}

test('each file is read once an interval, and a restart goes on where it was', async () => {
  expect(await scrub()).toBe(0);
  expect(looks).toEqual([]);
  world.hands.pass(INTERVAL_MS);
  await scrub(2);
  expect(looks).toEqual(files.slice(0, 2).map(({ id }) => id));
  await world.reopen();
  await scrub();
  expect(looks).toEqual(files.map(({ id }) => id));
  await scrub();
  expect(looks).toHaveLength(4);
  world.hands.pass(INTERVAL_MS);
  await scrub();
  expect(looks).toHaveLength(8);
});

test('a bit that flips after the file was first opened is found, and answers say so', async () => {
  expect(await world.all('org_a')).toHaveLength(4);
  const path = `${world.dir}/${files[2].key}`;
  const bytes = await readFile(path);
  bytes[Math.floor(bytes.length / 2)] ^= 4;
  await writeFile(path, bytes);
  world.hands.pass(INTERVAL_MS);
  expect(await scrub()).toBe(1);
  const reader = { orgId: 'org_a', floorUs: null, kind: 'list' } as const;
  const page = await world.recall.page(reader, { filter: {}, order: 'asc', limit: 10 });
  expect(page.events).toHaveLength(3);
  const { minTimeUs, maxTimeUs } = files[2];
  const window = { files: 1, sinceUs: minTimeUs, untilUs: maxTimeUs + 1 };
  expect(page.incomplete).toMatchObject(window);
  world.hands.pass(INTERVAL_MS);
  expect(await scrub()).toBe(0);
  expect(looks.filter((id) => id === files[2].id)).toHaveLength(1);
});

test('a clock that was ahead when a file was read does not put off the next look', async () => {
  world.hands.pass(100 * INTERVAL_MS);
  await scrub();
  world.hands.pass(-50 * INTERVAL_MS);
  await scrub();
  expect(looks).toHaveLength(8);
});
