import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { US_PER_DAY } from '../base/clock.js';
import {
  DAY,
  deletion,
  eachTest,
  faultOf,
  HOUR,
  NOON,
  partition,
  run,
  type Stand,
  span,
} from './fixtures.suite.js';
import type { Metadata, Partition, Scope, Span, SpanSum } from './metadata.js';

/** Part of metadataSuite: partitions, positions and spans. */
export function catalogSuite(stand: () => Promise<Stand>): void {
  commitSuite(stand);
  locateSuite(stand);
  sweepSuite(stand);
}

const flush = (from: number, to: number, partitions: Partition[]) => ({
  stream: 'log',
  from,
  to,
  partitions,
  dedupRun: null,
});

function commitSuite(stand: () => Promise<Stand>): void {
  describe('commits of the catalog', () => {
    const open = eachTest(stand);

    test('move the position, show partitions and the run in one step', async () => {
      const { catalog } = await open();
      expect(await catalog.position('log')).toBe(0);
      await catalog.stage('par_1', [span('org_a', { minExpiresUs: NOON + 5 })]);
      expect((await catalog.locate({ orgId: 'org_a' })).partitions).toEqual([]);
      const first = partition('par_1', { minExpiresUs: NOON + 5 });
      await catalog.commitFlush({ ...flush(0, 10, [first]), dedupRun: run('dedup/1.run') });
      expect(await catalog.position('log')).toBe(10);
      const { orgId, agentId, sessionId, ...sum } = span('org_a', { minExpiresUs: NOON + 5 });
      expect(await catalog.locate({ orgId, agentIds: [agentId], sessionId })).toEqual({
        through: { log: 10 },
        epochs: [{ stream: 'log', after: 0 }],
        partitions: [{ ...first, sum, agentId }],
        quarantined: [],
      });
      expect(await catalog.partitions()).toEqual([first]);
      expect(await catalog.dedupRuns()).toEqual([run('dedup/1.run')]);
    });

    test('name the agent of a session in a partition if there is but one', async () => {
      const { catalog } = await open();
      await catalog.stage('par_1', [span('org_a', { sessionId: 'mine' }), span('org_a')]);
      await catalog.stage('par_1', [span('org_a', { agentId: 'another' })]);
      await catalog.commitFlush(flush(0, 10, [partition('par_1')]));
      const agentOf = async (sessionId: string) =>
        (await catalog.locate({ orgId: 'org_a', sessionId })).partitions.map((one) => one.agentId);
      expect(await agentOf('mine')).toEqual(['crawler']);
      expect(await agentOf('s1')).toEqual([undefined]);
      const { partitions } = await catalog.locate({ orgId: 'org_a', agentIds: ['another'] });
      expect(partitions.map((one) => one.agentId)).toEqual([undefined]);
    });

    test('fail whole if the position is another', async () => {
      const { catalog } = await open();
      await catalog.commitFlush(flush(0, 10, [partition('par_1')]));
      const stale = { ...flush(0, 12, [partition('par_2')]), dedupRun: run('dedup/2.run') };
      expect(await faultOf(catalog.commitFlush(stale))).toBe('internal');
      expect(await faultOf(catalog.commitFlush(flush(9, 12, [partition('par_2')])))).toBe(
        'internal',
      );
      expect(await catalog.position('log')).toBe(10);
      expect((await catalog.partitions()).map((each) => each.id)).toEqual(['par_1']);
      expect(await catalog.dedupRuns()).toEqual([]);
      await catalog.commitFlush({ ...flush(0, 3, []), stream: 'other' });
      expect((await catalog.locate({ orgId: 'x' })).through).toEqual({ log: 10, other: 3 });
    });

    test('of two at once from the same position: one', async () => {
      const [first, second] = [await open(), await open()];
      const results = await Promise.allSettled([
        first.catalog.commitFlush(flush(0, 10, [partition('par_1')])),
        second.catalog.commitFlush(flush(0, 10, [partition('par_2')])),
      ]);
      expect(results.map((each) => each.status).sort()).toEqual(['fulfilled', 'rejected']);
      expect(await first.catalog.partitions()).toHaveLength(1);
    });

    test('replace partitions only if all of them are live', async () => {
      const { catalog } = await open();
      for (const id of ['par_1', 'par_2', 'par_3']) await catalog.stage(id, [span('org_a')]);
      await catalog.commitFlush(flush(0, 10, [partition('par_1'), partition('par_2')]));
      const merged = [partition('par_3', { level: 1 })];
      expect(await catalog.replace(['par_1', 'par_none'], merged)).toBe(false);
      expect((await catalog.partitions()).map((each) => each.id)).toEqual(['par_1', 'par_2']);
      expect(await catalog.replace(['par_1', 'par_2'], merged)).toBe(true);
      expect(await catalog.replace(['par_1', 'par_2'], merged)).toBe(false);
      expect(await catalog.partitions()).toEqual(merged);
      const located = await catalog.locate({ orgId: 'org_a', sessionId: 's1' });
      expect(located.partitions.map((each) => [each.id, each.sum.rows])).toEqual([['par_3', 10]]);
    });

    test('remember the files that were replaced, and whose rows are gone', async () => {
      const { catalog } = await open();
      await catalog.stage('par_1', [span('org_a'), span('org_b')]);
      await catalog.stage('par_2', [span('org_a')]);
      const [first, second] = [partition('par_1'), partition('par_2')];
      await catalog.commitFlush(flush(0, 10, [first, second]));
      expect(await catalog.orgsOf('par_1')).toEqual(['org_a', 'org_b']);
      expect(await catalog.orgsOf('par_none')).toEqual([]);
      expect(await catalog.garbage()).toEqual([]);
      await catalog.replace(['par_1'], [], [{ orgId: 'org_a', newestUs: 7 }]);
      await catalog.replace(['par_2'], [], [{ orgId: 'org_a', newestUs: 5 }]);
      expect(await catalog.garbage()).toEqual([first.key, second.key].sort());
      expect(await catalog.rowsGone()).toEqual([{ orgId: 'org_a', newestUs: 7 }]);
      await catalog.forgetGarbage([first.key]);
      expect(await catalog.garbage()).toEqual([second.key]);
    });

    test('keep quarantined partitions apart', async () => {
      const { catalog } = await open();
      await catalog.stage('par_1', [span('org_a')]);
      await catalog.stage('par_2', [span('org_a')]);
      await catalog.commitFlush(flush(0, 10, [partition('par_1'), partition('par_2')]));
      await catalog.quarantine('par_1', 'checksum differs');
      const located = await catalog.locate({ orgId: 'org_a' });
      expect(located.partitions.map((each) => each.id)).toEqual(['par_2']);
      expect(located.quarantined.map((each) => [each.id, each.state, each.sum.rows])).toEqual([
        ['par_1', 'quarantined', 10],
      ]);
      expect(await catalog.replace(['par_1'], [])).toBe(false);
      expect(await catalog.partitions()).toHaveLength(2);
      expect(await catalog.quarantined()).toMatchObject([
        { id: 'par_1', reason: 'checksum differs' },
      ]);
      const gone = [{ orgId: 'org_a', newestUs: 7 }];
      expect(await catalog.discard(['par_1', 'par_2'], gone)).toBe(false);
      expect(await catalog.discard(['par_1'], gone)).toBe(true);
      expect(await catalog.rowsGone()).toEqual(gone);
      expect(await catalog.garbage()).toEqual([partition('par_1').key]);
      expect(await catalog.partitions()).toMatchObject([{ id: 'par_2' }]);
    });

    test('know in which order streams of the log were written', async () => {
      const { catalog, deletions } = await open();
      await catalog.beginStream('empty');
      expect(await catalog.beginStream('old')).toEqual([{ stream: 'old', after: 0 }]);
      await catalog.commitFlush({ ...flush(0, 10, []), stream: 'old', dedupRun: run('a') });
      expect(await catalog.beginStream('old')).toEqual([{ stream: 'old', after: 0 }]);
      await catalog.beginStream('new');
      await catalog.commitFlush({ ...flush(0, 1, []), stream: 'new', dedupRun: run('b') });
      const early = run('c', { through: 9 });
      await catalog.replaceDedupRuns(['a'], [early]);
      const runs = [early, run('b')];
      expect(await catalog.dedupRuns()).toEqual(runs);
      const epochs = await catalog.beginStream('old');
      expect(epochs).toEqual([
        { stream: 'old', after: 0 },
        { stream: 'new', after: 0 },
        { stream: 'old', after: 10 },
      ]);
      await deletions.put([deletion('org_a', 'era_1', { stream: 'unheard' })]);
      const located = await catalog.locate({ orgId: 'org_a' });
      expect(located.epochs).toEqual([...epochs, { stream: 'unheard', after: 0 }]);
    });

    test('replace runs of deduplication keys', async () => {
      const { catalog } = await open();
      await catalog.replaceDedupRuns([], [run('a', { through: 1 }), run('b', { through: 2 })]);
      await catalog.replaceDedupRuns(['a', 'b'], [run('c')]);
      expect(await catalog.dedupRuns()).toEqual([run('c')]);
    });
  });
}

function sweepSuite(stand: () => Promise<Stand>): void {
  describe('sweeps of spans', () => {
    const open = eachTest(stand);

    test('remove what was replaced and what a crash left, not a flush under way', async () => {
      const before = await open();
      const many = Array.from({ length: 1_300 }, (_, i) => span('org_a', { sessionId: `s${i}` }));
      await before.catalog.stage('par_lost', many);
      await before.close();
      const { catalog } = await open();
      await catalog.stage('par_1', many.slice(0, 700));
      await catalog.stage('par_2', many.slice(0, 5));
      await catalog.stage('par_3', many.slice(0, 3));
      await catalog.commitFlush(flush(0, 10, [partition('par_1')]));
      await catalog.replace(['par_1'], [partition('par_2')]);
      expect(await catalog.sweepSpans()).toBe(1_300 + 700);
      expect(await catalog.sweepSpans()).toBe(0);
      await catalog.commitFlush(flush(10, 11, [partition('par_3', { minTimeUs: 0 })]));
      const located = await catalog.locate({ orgId: 'org_a' });
      expect(located.partitions.map((each) => [each.id, each.sum.rows])).toEqual([
        ['par_3', 30],
        ['par_2', 50],
      ]);
      expect((await catalog.locate({ orgId: 'org_a', sessionId: 's600' })).partitions).toEqual([]);
    });
  });
}

/** What locate should answer, from the spans alone. */
function naive(scope: Scope, spans: ReadonlyMap<string, Span[]>): Map<string, SpanSum> {
  const found = new Map<string, SpanSum>();
  for (const [id, all] of spans) {
    const mine = all.filter(
      (each) =>
        each.orgId === scope.orgId &&
        (scope.sessionId === undefined || each.sessionId === scope.sessionId) &&
        (scope.agentIds === undefined || scope.agentIds.includes(each.agentId)),
    );
    const sum = mine.length > 0 ? sumOf(mine) : null;
    if (!sum || sum.lastUs < (scope.sinceUs ?? 0)) continue;
    if (sum.firstUs < (scope.untilUs ?? Number.POSITIVE_INFINITY)) found.set(id, sum);
  }
  return found;
}

function sumOf(spans: readonly Span[]): SpanSum {
  const total = (pick: (each: Span) => number) => spans.reduce((n, each) => n + pick(each), 0);
  const expiries = spans.flatMap((each) => each.minExpiresUs ?? []);
  return {
    firstUs: Math.min(...spans.map((each) => each.firstUs)),
    lastUs: Math.max(...spans.map((each) => each.lastUs)),
    rows: total((each) => each.rows),
    decisions: total((each) => each.decisions),
    entities: total((each) => each.entities),
    sessions: total((each) => each.sessions),
    errors: total((each) => each.errors),
    minExpiresUs: expiries.length > 0 ? Math.min(...expiries) : null,
  };
}

const ORGS = ['org_a', 'org_b'];
const AGENTS = ['a1', 'a2', 'a3'];
const SESSIONS = ['', 's1', 's2'];
const count = fc.integer({ min: 0, max: 5 });

const anySpan = fc.record({
  orgId: fc.constantFrom(...ORGS),
  agentId: fc.constantFrom(...AGENTS),
  sessionId: fc.constantFrom(...SESSIONS),
  start: fc.integer({ min: 0, max: 23 }),
  length: fc.integer({ min: 0, max: 23 }),
  rows: fc.integer({ min: 1, max: 9 }),
  decisions: count,
  entities: count,
  sessions: count,
  errors: count,
  minExpiresUs: fc.option(fc.integer({ min: NOON, max: NOON + 9 })),
});
const anyPartition = fc.record({
  day: fc.integer({ min: DAY, max: DAY + 2 }),
  spans: fc.array(anySpan, { minLength: 1, maxLength: 12 }),
  parts: fc.integer({ min: 1, max: 4 }),
});
const time = fc.option(fc.integer({ min: DAY * 24 - 2, max: (DAY + 3) * 24 + 2 }), {
  nil: undefined,
});
const anyScope = fc.record(
  {
    orgId: fc.constantFrom(...ORGS, 'org_none'),
    agentIds: fc.uniqueArray(fc.constantFrom(...AGENTS, 'a_none'), { maxLength: 3 }),
    sessionId: fc.constantFrom(...SESSIONS, 's_none'),
    since: time,
    until: time,
  },
  { requiredKeys: ['orgId'] },
);

type Value<A> = A extends fc.Arbitrary<infer T> ? T : never;
type Drawn = Value<typeof anyPartition>;

function spansOf({ day, spans }: Drawn): Span[] {
  return spans.map(({ start, length, ...rest }) => {
    const firstUs = day * US_PER_DAY + start * HOUR;
    return { ...rest, firstUs, lastUs: firstUs + Math.min(length, 23 - start) * HOUR };
  });
}

/** Stages each partition in a few calls, so that sums must add up over them. */
async function fill({ catalog }: Metadata, drawn: readonly Drawn[]): Promise<Map<string, Span[]>> {
  const stored = new Map<string, Span[]>();
  const partitions: Partition[] = [];
  for (const [i, each] of drawn.entries()) {
    const id = `par_${i}`;
    const spans = spansOf(each);
    const step = Math.ceil(spans.length / each.parts);
    for (let at = 0; at < spans.length; at += step) {
      await catalog.stage(id, spans.slice(at, at + step));
    }
    const { firstUs, lastUs } = sumOf(spans);
    partitions.push(partition(id, { day: each.day, minTimeUs: firstUs, maxTimeUs: lastUs }));
    stored.set(id, spans);
  }
  await catalog.commitFlush(flush(0, 1, partitions));
  return stored;
}

/** Everything asked of one store against the naive answer. */
async function compare(
  metadata: Metadata,
  drawn: Drawn[],
  scopes: Value<typeof anyScope>[],
): Promise<void> {
  const stored = await fill(metadata, drawn);
  for (const { since, until, ...rest } of scopes) {
    const sinceUs = since === undefined ? undefined : since * HOUR;
    const untilUs = until === undefined ? undefined : until * HOUR;
    const scope: Scope = { ...rest, sinceUs, untilUs };
    const { partitions } = await metadata.catalog.locate(scope);
    const found = new Map(partitions.map((each) => [each.id, each.sum]));
    expect(found).toEqual(naive(scope, stored));
    const times = partitions.map((each) => each.maxTimeUs);
    expect(times).toEqual(times.toSorted((a, b) => b - a));
  }
}

function locateSuite(stand: () => Promise<Stand>): void {
  test('locate agrees with a naive walk over random spans', async () => {
    const drawn = fc.array(anyPartition, { minLength: 1, maxLength: 5 });
    const scopes = fc.array(anyScope, { minLength: 20, maxLength: 20 });
    const property = fc.asyncProperty(drawn, scopes, async (partitions, asked) => {
      const place = await stand();
      const metadata = await place.open();
      try {
        await compare(metadata, partitions, asked);
      } finally {
        await metadata.close();
        await place.remove();
      }
    });
    await fc.assert(property, { numRuns: 25 });
  }, 60_000);
}
