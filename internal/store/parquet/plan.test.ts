import { expect, test } from 'vitest';
import { AssertionError } from '../../base/assert.js';
import type { LocatedPartition, SpanSum } from '../../metadata/metadata.js';
import { deletionOf, eventAt, NOW_US, STREAM } from '../model.suite.js';
import * as plan from './plan.js';
import { selectPage } from './sql.js';

const SUM = { rows: 10, decisions: 0, entities: 0, sessions: 0, errors: 0, minExpiresUs: null };

function file(n: number, sum: Partial<SpanSum> = {}): LocatedPartition {
  const firstUs = n * 1_000_000;
  const lastUs = firstUs + 999_999;
  return {
    id: `par_${n}`,
    stream: STREAM,
    fromPosition: n * 10 + 1,
    toPosition: n * 10 + 10,
    key: `events/${n}.parquet`,
    location: 'local',
    day: 0,
    rows: 100,
    bytes: 1,
    checksum: '',
    minTimeUs: firstUs,
    maxTimeUs: lastUs,
    minExpiresUs: null,
    level: 0,
    state: 'live',
    sum: { ...SUM, firstUs, lastUs, ...sum },
  };
}

const FILES = Array.from({ length: 40 }, (_, n) => file(n));

const EPOCHS = [{ stream: STREAM, after: 0 }];

function wanted(with_: Partial<plan.WantedPage> = {}): plan.WantedPage & plan.Planned {
  const visibility = { nowUs: NOW_US, floorUs: null, deletions: [] };
  const page = { orgId: 'org', filter: {}, visibility, order: 'desc' as const, limit: 25 };
  return { ...page, epochs: EPOCHS, ...with_ };
}

test('a page begins with as few files as may fill it, then takes ever more', () => {
  const steps = plan.planSteps(FILES, 'desc', 25);
  expect(steps.map(({ files }) => files.length)).toEqual([3, 10, 27]);
  expect(steps[0].files.map(({ id }) => id)).toEqual(['par_39', 'par_38', 'par_37']);
  expect(steps[0].laterUs).toBe(36_999_999);
  expect(steps[2].laterUs).toBeNull();
  const oldestFirst = plan.planSteps(FILES, 'asc', 25);
  expect(oldestFirst[0].files.map(({ id }) => id)).toEqual(['par_0', 'par_1', 'par_2']);
  expect(oldestFirst[0].laterUs).toBe(3_000_000);
  expect(plan.planSteps([], 'desc', 25)).toEqual([]);
});

test('a full page is final only if no later file reaches into it', () => {
  const [first, , last] = plan.planSteps(FILES, 'desc', 25);
  expect(plan.isFinal(first, 'desc', 37_000_000)).toBe(true);
  expect(plan.isFinal(first, 'desc', 36_999_999)).toBe(false);
  expect(plan.isFinal(last, 'desc', 0)).toBe(true);
});

test('the window is what all conditions on time have in common', () => {
  const visibility = { nowUs: NOW_US, floorUs: 500, deletions: [] };
  const range = (with_: Partial<plan.WantedPage>) => plan.rangeOf(wanted({ visibility, ...with_ }));
  expect(range({ filter: { sinceUs: 100, untilUs: 900 } })).toEqual({ sinceUs: 500, untilUs: 900 });
  const after = { timeUs: 700, id: 'x' };
  expect(range({ after, filter: { untilUs: 900 } })).toEqual({ sinceUs: 500, untilUs: 701 });
  expect(range({ after, order: 'asc', filter: { untilUs: 900 } })).toEqual({
    sinceUs: 700,
    untilUs: 900,
  });
  const { id } = eventAt(5_123_456);
  expect(range({ filter: { ids: [id] } })).toEqual({ sinceUs: 5_123_000, untilUs: 5_124_000 });
  expect(range({ filter: { ids: ['nonsense'] } })).toEqual({ sinceUs: 0, untilUs: 0 });
});

test('files with the same deletions are read together, and those without apart', () => {
  const early = deletionOf(100, { sessionId: 's' });
  const late = deletionOf(400, { agentIds: ['bot'] });
  const visibility = { nowUs: NOW_US, floorUs: null, deletions: [late, early] };
  const branches = plan.branchesOf(FILES, wanted({ visibility }));
  expect(branches.map(({ files, erased }) => [files.length, erased])).toEqual([
    [10, { ids: [], sessions: ['s'], filters: [late.filter] }],
    [30, { ids: [], sessions: [], filters: [late.filter] }],
  ]);
  const other = plan.branchesOf(FILES, wanted({ visibility, filter: { sessionId: 'other' } }));
  expect(other.map(({ erased }) => erased.sessions)).toEqual([[]]);
});

test('a deletion by id concerns only files of its time', () => {
  const erased = eventAt(5_500_000);
  const deletions = [deletionOf(400, { ids: [erased.id] })];
  const visibility = { nowUs: NOW_US, floorUs: null, deletions };
  const of = (files: LocatedPartition[]) =>
    plan.branchesOf(files, wanted({ visibility }))[0].erased;
  expect(of([FILES[5]]).ids).toEqual([erased.id]);
  expect(of([FILES[6]]).ids).toEqual([]);
});

test('statistics sum what is whole and read what is not', () => {
  const files = [
    ...FILES.slice(0, 10),
    file(10, { minExpiresUs: NOW_US }),
    file(11, { minExpiresUs: NOW_US + 1 }),
  ];
  const read = (with_: Partial<plan.Wanted>) =>
    plan.planStats(files, wanted(with_)).read.map(({ id }) => id);
  expect(read({})).toEqual(['par_10']);
  expect(read({ filter: { sinceUs: 1_000_000, untilUs: 9_999_999 } })).toEqual([
    'par_0',
    'par_9',
    'par_10',
    'par_11',
  ]);
  expect(read({ filter: { parentId: '' } })).toHaveLength(12);
  const deletions = [deletionOf(25, { untilUs: 1_500_000 })];
  const visibility = { nowUs: NOW_US, floorUs: null, deletions };
  expect(read({ visibility })).toEqual(['par_0', 'par_1', 'par_10']);
});

test('a position inside of a file is a bug of the caller', () => {
  const located = {
    through: { [STREAM]: 400 },
    epochs: EPOCHS,
    partitions: FILES,
    quarantined: [],
  };
  expect(plan.upTo(located, { stream: STREAM, position: 50 }).partitions).toHaveLength(5);
  expect(plan.upTo(located, { stream: STREAM, position: 50 }).through).toEqual({ [STREAM]: 50 });
  expect(() => plan.upTo(located, { stream: STREAM, position: 55 })).toThrow(AssertionError);
});

test("users' texts are bound, never part of the statement", () => {
  const evil = "'; DROP TABLE x; --";
  const filter = {
    agentIds: [evil],
    sessionId: evil,
    eventTypes: [evil],
    tags: [evil],
    parentId: evil,
    contentContains: `${evil}%_`,
    ids: Array.from({ length: 100 }, (_, i) => `${evil}${i}`),
  };
  const deletions = [deletionOf(1000, { ...filter, ids: undefined, sinceUs: 1 })];
  const visibility = { nowUs: NOW_US, floorUs: null, deletions };
  const query = wanted({ filter, visibility, orgId: evil, after: { timeUs: 1, id: evil } });
  const { sql, values } = selectPage(plan.branchesOf(FILES, query), query, (key) => `/it's/${key}`);
  expect(sql).not.toContain('DROP');
  expect(sql).toContain("'/it''s/events/0.parquet'");
  expect(values).toContain(evil);
});
