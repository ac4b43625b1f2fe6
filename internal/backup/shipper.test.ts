import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../base/clock.js';
import { encodeDeletion } from '../ingest/record.js';
import { openSegmentLog } from '../log/segments/open.js';
import type { SegmentLog } from '../log/segments/segment-log.js';
import type { ChangeStore } from '../metadata/changes.js';
import { LocalObjects } from '../objects/local.js';
import type { Objects } from '../objects/objects.js';
import { HeldLog } from './held-log.js';
import type { Incarnation } from './incarnation.js';
import { readLedger } from './ledger.js';
import { decodeShipment, LOG, parseShipmentKey } from './shipment.js';
import { Shipper } from './shipper.js';

const MIB = 1024 * 1024;
const life: Incarnation = {
  id: '01JDSTVWXYZ0123456789ABCDE',
  parent: null,
  position: 0,
  createdUs: 1,
  untilUs: null,
};

let dir: string;
let log: SegmentLog;
let objects: Objects;
let reachable: boolean;
let gaps: [number, number][];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'memtrace-shipper-'));
  objects = await LocalObjects.open(join(dir, 'target'));
  log = await openLog('wal');
  reachable = true;
  gaps = [];
});

afterEach(async () => {
  await log.close();
  rmSync(dir, { recursive: true });
});

function openLog(name: string): Promise<SegmentLog> {
  return openSegmentLog({ dir: join(dir, name), segmentBytes: MIB, growBytes: 64 * 1024 });
}

const NO_CHANGES: ChangeStore = {
  track: async () => undefined,
  trim: async () => false,
  take: async () => ({ after: 0, through: 0, changes: [] }),
  sent: async () => undefined,
  sequence: async () => 0,
  apply: async () => [],
  gone: async () => [],
  remove: async () => undefined,
};

function shipperOf(held?: HeldLog): Shipper {
  return new Shipper({
    open: async () => {
      if (!reachable) throw new Error('out of reach');
      return objects;
    },
    log,
    dataDir: dir,
    clock: systemClock,
    incarnation: life,
    fork: (from, position) => ({
      ...life,
      id: `${life.id.slice(0, -1)}F`,
      parent: from.id,
      position,
    }),
    shipsLog: true,
    catalogPosition: 0,
    pending: () => [],
    everything: async () => ({ erasures: [], revocations: [] }),
    changes: NO_CHANGES,
    onShipped: async (position) => held?.shipped(position),
    onGap: (from, to) => gaps.push([from, to]),
    onChangesLost: () => undefined,
  });
}

async function append(count: number, text = 'x'): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, () => {
      return log.append(`{"kind":"events","count":1}\n${JSON.stringify({ text })}`);
    }),
  );
}

/** Positions in the target, by incarnation, in the order of the log. */
async function shipped(id = life.id): Promise<number[]> {
  const positions: number[] = [];
  for await (const { key } of objects.list(LOG)) {
    if (parseShipmentKey(key)?.incarnation !== id) continue;
    const { records } = await decodeShipment(await objects.get(key));
    positions.push(...records.map(({ position }) => position));
  }
  return positions;
}

const upTo = (last: number, first = 1) =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);

test('what is durable is in the target after a pass, each record once', async () => {
  const shipper = shipperOf();
  await append(10);
  await shipper.run();
  await shipper.run();
  await append(5);
  await shipper.run();
  expect(await shipped()).toEqual(upTo(15));
  expect(shipper.position).toBe(15);
});

test('objects are bounded, however much there is', async () => {
  await append(12, 'y'.repeat(MIB));
  await shipperOf().run();
  const keys: string[] = [];
  for await (const { key } of objects.list(LOG)) keys.push(key);
  expect(keys.length).toBe(3);
  expect(await shipped()).toEqual(upTo(12));
});

test('after a crash it goes on where the target ends, with or without its own note', async () => {
  await append(10);
  await shipperOf().run();
  for (const note of readdirSync(dir).filter((name) => name.startsWith('shipped'))) {
    rmSync(join(dir, note));
  }
  await append(3);
  await shipperOf().run();
  expect(await shipped()).toEqual(upTo(13));
});

test('an erasure is in the ledger before its record is in the log', async () => {
  const puts: string[] = [];
  const watched = objects;
  objects = Object.assign(Object.create(watched) as Objects, {
    put: (key: string, bytes: Uint8Array) => {
      puts.push(key.split('/')[0] ?? '');
      return watched.put(key, bytes);
    },
  });
  const times = { requestedUs: 5, deadlineUs: 6, state: 'accepted', doneUs: null } as const;
  const deletion = { id: 'era_1', orgId: 'org_1', filter: { sessionId: 's' }, ...times };
  await log.append(encodeDeletion(deletion));
  await shipperOf().run();
  expect(puts).toEqual(['lineage', 'erasures', 'log']);
  expect(await readLedger(objects)).toMatchObject({ erasures: [deletion], unreadable: [] });
});

test('a directory that was put back to an earlier state begins another history', async () => {
  await append(4);
  cpSync(join(dir, 'wal'), join(dir, 'earlier'), { recursive: true });
  await append(6);
  await shipperOf().run();
  await log.close();
  log = await openLog('earlier');
  const shipper = shipperOf();
  // More than was lost, before the first look at the target.
  await append(8);
  await shipper.run();
  expect(await shipped()).toEqual(upTo(10));
  expect(await shipped(shipper.life.id)).toEqual(upTo(12, 5));
});

function held(maxBytes: number, send: () => Promise<void>): { log: HeldLog; givenUp: number[] } {
  const givenUp: number[] = [];
  const options = { through: 0, maxBytes, onGivenUp: (at: number) => givenUp.push(at) };
  return { log: new HeldLog(log, options, send), givenUp };
}

test('what was flushed stays until it is sent, and goes then', async () => {
  const { log: hold, givenUp } = held(64 * MIB, async () => undefined);
  const shipper = shipperOf(hold);
  for (let i = 0; i < 4; i++) await append(1, 'z'.repeat(MIB));
  await hold.release(4);
  expect(log.health.bytes).toBeGreaterThan(4 * MIB);
  await shipper.run();
  expect(log.health.bytes).toBeLessThan(MIB);
  expect([await shipped(), givenUp, gaps]).toEqual([upTo(4), [], []]);
});

test('a target out of reach never fills the disk; the gap is told once it is back', async () => {
  reachable = false;
  const { log: hold, givenUp } = held(5 * MIB, async () => undefined);
  const shipper = shipperOf(hold);
  for (let i = 1; i <= 20; i++) {
    await append(1, 'z'.repeat(MIB));
    await hold.release(i);
    await expect(shipper.run()).rejects.toThrow('out of reach');
    expect(log.health.bytes).toBeLessThan(7 * MIB);
  }
  expect(givenUp.length).toBe(1);
  reachable = true;
  await append(1);
  await shipper.run();
  const [[from, to]] = gaps as [[number, number]];
  expect([gaps.length, from]).toEqual([1, 1]);
  expect(await shipped()).toEqual(upTo(21, to + 1));
});

test('the bytes of an erasure leave the log, sent or not', async () => {
  reachable = false;
  const { log: hold } = held(64 * MIB, () => shipper.run());
  const shipper = shipperOf(hold);
  await append(3, 'secret');
  await hold.release(3);
  const segments = () => readdirSync(join(dir, 'wal')).filter((name) => name.endsWith('.wal'));
  expect(segments()).toEqual(['00000000000000000001.wal']);
  await hold.rotate();
  await hold.release(3);
  expect(segments()).toEqual(['00000000000000000004.wal']);
});
