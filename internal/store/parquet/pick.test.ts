import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { US_PER_DAY } from '../../base/clock.js';
import { encodeMs } from '../../base/ulid.js';
import type { Partition } from '../../metadata/metadata.js';
import { MAX_FILE_BYTES, MAX_FILE_ROWS, pickGroups } from './pick.js';

const MIB = 2 ** 20;
const DAY = 20_000;
const NOW_US = (DAY + 1) * US_PER_DAY - 1;
const HOUR_US = 3_600_000_000;
let serial = 0;

function file(with_: Partial<Partition> = {}, madeUs = NOW_US): Partition {
  serial += 1;
  const id = `par_${encodeMs(Math.floor(madeUs / 1000))}${String(serial).padStart(16, '0')}`;
  const day = with_.day ?? DAY;
  return {
    id,
    stream: 's',
    fromPosition: serial,
    toPosition: serial,
    key: id,
    location: 'local',
    day,
    rows: 100,
    bytes: MIB,
    checksum: '',
    minTimeUs: day * US_PER_DAY + serial,
    maxTimeUs: day * US_PER_DAY + serial + 1,
    minExpiresUs: null,
    level: 0,
    state: 'live',
    ...with_,
  };
}

const pick = (files: Partition[], with_: Partial<Parameters<typeof pickGroups>[1]> = {}) =>
  pickGroups(files, { nowUs: NOW_US, minFiles: 4, eligible: () => true, ...with_ });

test('small files of one day and stream become one, in the order of their times', () => {
  const files = [file(), file(), file(), file()];
  expect(pick([...files].reverse())).toEqual([files]);
  expect(pick(files.slice(1))).toEqual([]);
  expect(pick([...files.slice(1), file({ day: DAY + 1 })])).toEqual([]);
  expect(pick([...files.slice(1), file({ stream: 't' })])).toEqual([]);
  expect(pick([...files.slice(1), file({ state: 'quarantined' })])).toEqual([]);
  expect(pick(files, { eligible: ({ id }) => id !== files[0].id })).toEqual([]);
  expect(pick(files, { day: DAY + 1 })).toEqual([]);
});

test('files of another size wait for their like, until their day is over and quiet', () => {
  const files = [file(), file(), file({ bytes: 5 * MIB }), file({ bytes: 20 * MIB })];
  expect(pick(files)).toEqual([]);
  expect(pick(files, { eager: true })).toEqual([files]);
  expect(pick(files, { nowUs: NOW_US + HOUR_US - 2_000 })).toEqual([]);
  expect(pick(files, { nowUs: NOW_US + HOUR_US + 1 })).toEqual([files]);
  const late = file({}, NOW_US + HOUR_US);
  expect(pick([...files, late], { nowUs: NOW_US + HOUR_US + 1 })).toEqual([]);
  expect(pick([late], { nowUs: NOW_US + 9 * HOUR_US })).toEqual([]);
});

test('the newest day comes first', () => {
  const days = [DAY, DAY + 2, DAY + 1].map((day) => [1, 2, 3, 4].map(() => file({ day })));
  const nowUs = NOW_US + 9 * HOUR_US;
  const order = pick(days.flat(), { nowUs }).map(([{ day }]) => day - DAY);
  expect(order).toEqual([2, 1, 0]);
});

test('a group never makes a file too large, and takes no finished one', () => {
  const some = fc.record({
    bytes: fc.constantFrom(1_000, 3 * MIB, 4 * MIB, 20 * MIB, 31 * MIB, 32 * MIB, 200 * MIB),
    rows: fc.constantFrom(1, 50_000, 400_000, MAX_FILE_ROWS / 2, MAX_FILE_ROWS),
    day: fc.constantFrom(DAY, DAY + 1),
  });
  fc.assert(
    fc.property(fc.array(some, { maxLength: 60 }), fc.boolean(), (made, eager) => {
      const files = made.map((one) => file(one));
      const groups = pick(files, { eager });
      const ids = groups.flat().map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      for (const group of groups) {
        const bytes = group.reduce((sum, one) => sum + one.bytes, 0);
        const rows = group.reduce((sum, one) => sum + one.rows, 0);
        expect(group.length).toBeGreaterThan(1);
        expect(bytes <= MAX_FILE_BYTES && rows <= MAX_FILE_ROWS).toBe(true);
        expect(new Set(group.map(({ day }) => day)).size).toBe(1);
        expect(Math.max(...group.map((one) => one.bytes))).toBeLessThan(MAX_FILE_BYTES / 2);
      }
    }),
  );
});

test('merging as files come rewrites no row often, and ends with few files', () => {
  let files: Partition[] = [];
  let rewritten = 0;
  const flushes = 400;
  for (let i = 0; i < flushes; i++) {
    files.push(file({ bytes: 3 * MIB, rows: 50_000 }));
    for (let [group] = pick(files); group !== undefined; [group] = pick(files)) {
      const bytes = group.reduce((sum, one) => sum + one.bytes, 0);
      const rows = group.reduce((sum, one) => sum + one.rows, 0);
      const ids = new Set(group.map(({ id }) => id));
      rewritten += bytes;
      files = files.filter(({ id }) => !ids.has(id));
      files.push(file({ bytes, rows, minTimeUs: group[0].minTimeUs }));
    }
  }
  expect(rewritten / (flushes * 3 * MIB)).toBeLessThan(3);
  expect(files.length).toBeLessThan((flushes * 3 * MIB) / (MAX_FILE_BYTES / 2) + 12);
});
