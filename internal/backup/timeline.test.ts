import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeDeletion } from '../ingest/record.js';
import type { LogRecord } from '../log/log.js';
import { openSegmentLog } from '../log/segments/open.js';
import { openSqliteMetadata } from '../metadata/sqlite/sqlite.js';
import { LocalObjects } from '../objects/local.js';
import type { Objects } from '../objects/objects.js';
import { lineageKey, readIncarnation } from './incarnation.js';
import { Ledger } from './ledger.js';
import type { Manifest } from './manifest.js';
import { DATABASE } from './place.js';
import { encodeShipment, frameOf, shipmentKey } from './shipment.js';
import { applyTimeline } from './timeline.js';

const STREAM = 'w_01JDSTVWXYZ0123456789ABCDE.1';
const LIFE = '01JDSTVWXYZ0123456789ABCDE';
const T0 = 1_700_000_000_000_000;
const SECOND = 1_000_000;
const BACKED_UP = 10;

let root: string;
let objects: Objects;
let dirs = 0;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'memtrace-timeline-'));
  await emptyTarget();
});

afterEach(() => rmSync(root, { recursive: true }));

async function emptyTarget(): Promise<void> {
  objects = await LocalObjects.open(join(root, `target${dirs++}`));
  const life = { id: LIFE, parent: null, position: 0, createdUs: 0, untilUs: null };
  await objects.put(lineageKey(LIFE), Buffer.from(JSON.stringify(life)));
}

/** A record of that time; any kind of record will do. */
function record(position: number, us: number): LogRecord {
  const times = { requestedUs: us, deadlineUs: us, state: 'accepted', doneUs: null } as const;
  const filter = { sessionId: 's' };
  return {
    position,
    payload: encodeDeletion({ id: `era_${position}`, orgId: 'o', filter, ...times }),
  };
}

async function ship(records: readonly LogRecord[]): Promise<string> {
  const [first] = records;
  const to = records[records.length - 1].position;
  const head = { stream: STREAM, incarnation: LIFE, from: first.position, to };
  const whole = { ...head, records: records.length };
  await objects.put(shipmentKey(whole), await encodeShipment(whole, records.map(frameOf)));
  return shipmentKey(whole);
}

async function restored(untilUs: number | null) {
  const dir = join(root, `restored${dirs++}`);
  await LocalObjects.open(dir);
  await (await openSqliteMetadata({ path: join(dir, DATABASE) })).close();
  const manifest = {
    incarnation: LIFE,
    stream: STREAM,
    createdUs: T0,
    positions: { [STREAM]: BACKED_UP },
  } as Partial<Manifest> as Manifest;
  const nowUs = T0 + 1_000 * SECOND;
  const report = await applyTimeline({ objects, dir, manifest, untilUs, nowUs });
  return { dir, report };
}

/** What a server finds in the log: the times of records that are no empty ones, by position. */
async function logOf(dir: string): Promise<{ kept: Map<number, string>; damaged: number }> {
  const log = await openSegmentLog({ dir: join(dir, 'wal') });
  const kept = new Map<number, string>();
  for await (const { position, payload } of log.read(BACKED_UP)) {
    if (payload.includes('"deletion"')) kept.set(position, payload);
  }
  const damaged = log.health.damagedRecords;
  expect(log.stream).toBe(STREAM);
  await log.close();
  return { kept, damaged };
}

test('the log is what was there at the time, in its order, wherever objects end', async () => {
  const offsets = fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 25 });
  const cuts = fc.array(fc.nat(25), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(
      offsets,
      cuts,
      fc.integer({ min: 0, max: 45 }),
      async (jitter, ends, until) => {
        await emptyTarget();
        // Times go up with the log, but for the jitter of requests of one moment.
        const records = jitter.map((by, i) => record(BACKED_UP + 1 + i, T0 + (i + by) * SECOND));
        const bounds = [0, ...ends.filter((end) => end < records.length), records.length].sort(
          (a, b) => a - b,
        );
        for (const [i, from] of bounds.entries()) {
          const part = records.slice(from, bounds[i + 1]);
          if (part.length > 0 && i + 1 < bounds.length) await ship(part);
        }
        const untilUs = T0 + until * SECOND;
        const { dir, report } = await restored(untilUs);
        const expected = records.filter(
          (_, i) => (i + (jitter[i] ?? 0)) * SECOND <= until * SECOND,
        );
        expect([report.gaps, report.records]).toEqual([[], expected.length]);
        if (expected.length === 0) return;
        const { kept, damaged } = await logOf(dir);
        expect(damaged).toBe(0);
        expect([...kept]).toEqual(expected.map(({ position, payload }) => [position, payload]));
        expect(report.position).toBe(expected.at(-1)?.position);
      },
    ),
    { numRuns: 20 },
  );
}, 30_000);

test('records that are missing are told, and what comes after them is there', async () => {
  await ship([11, 12].map((position) => record(position, T0 + SECOND)));
  const lost = await ship([13, 14].map((position) => record(position, T0 + 2 * SECOND)));
  await ship([15].map((position) => record(position, T0 + 3 * SECOND)));
  await objects.delete(lost);
  const { dir, report } = await restored(null);
  expect(report.gaps).toEqual(['2 records of the log, 13 to 14, are not here']);
  expect([...(await logOf(dir)).kept.keys()]).toEqual([11, 12, 15]);
  // Before they were written nothing is missing; when they may have been, something is.
  expect((await restored(T0 + SECOND - 1)).report.gaps).toEqual([]);
  expect((await restored(T0 + 2 * SECOND)).report.gaps).toHaveLength(1);
});

test('a damaged object is told', async () => {
  const key = await ship([record(11, T0 + SECOND)]);
  const bytes = Buffer.from(await objects.get(key));
  bytes[bytes.length - 1] ^= 1;
  await objects.delete(key);
  await objects.put(key, bytes);
  expect((await restored(null)).report).toMatchObject({ records: 0, gaps: [`${key} is damaged`] });
});

test('millions of missing records take no space, and the next start tells them, too', async () => {
  await ship([record(5_000_011, T0 + 9 * SECOND)]);
  const { dir, report } = await restored(null);
  expect(report).toMatchObject({ position: 5_000_011, records: 1 });
  expect(report.gaps).toHaveLength(1);
  const wal = readdirSync(join(dir, 'wal')).map((name) => statSync(join(dir, 'wal', name)).size);
  expect(wal.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(8 * 1024 * 1024);
  const { kept, damaged } = await logOf(dir);
  expect([[...kept.keys()], damaged]).toEqual([[5_000_011], 5_000_000 - 10_000]);
  // The point of the backup itself needs nothing of it.
  expect((await restored(T0)).report).toMatchObject({ position: BACKED_UP, gaps: [] });
});

test('what was erased later covers all that is restored, once, and nothing after', async () => {
  await ship([record(11, T0 + SECOND)]);
  const times = { requestedUs: T0 + 99 * SECOND, deadlineUs: 0, doneUs: null } as const;
  const later = { id: 'era_later', orgId: 'o', filter: {}, state: 'accepted', ...times } as const;
  const known = { ...later, id: 'era_11' };
  await new Ledger(objects).add([later, known], []);
  const { dir, report } = await restored(T0 + 2 * SECOND);
  expect(report).toMatchObject({ erasures: 1, records: 1, position: 12, gaps: [] });
  const { kept } = await logOf(dir);
  expect([...kept.keys()]).toEqual([11, 12]);
  expect(kept.get(12)).toContain('era_later');
  // The next life shares the log up to its own first record.
  expect(readIncarnation(dir)).toMatchObject({ parent: LIFE, position: 11 });
});
