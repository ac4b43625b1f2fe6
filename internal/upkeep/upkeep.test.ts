import * as fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { US_PER_DAY } from '../base/clock.js';
import type { Event } from '../event/event.js';
import { DAY0, eventAt, NOW_US } from '../store/model.suite.js';
import { HOUR_MS, NaiveRows, UpkeepWorld, type WorldOptions } from './world.suite.js';

const day = (n: number, us = 0) => (DAY0 + n) * US_PER_DAY + us;

let world: UpkeepWorld;
afterEach(() => world.close());

async function open(options: WorldOptions = {}): Promise<void> {
  world = await UpkeepWorld.open(NOW_US, options);
}

async function files(): Promise<number> {
  return (await world.metadata.catalog.partitions()).length;
}

async function writeAndFlush(...events: Event[]): Promise<void> {
  await world.write(events);
  await world.flush();
}

test('flushed files become one, late ones join their day', async () => {
  await open();
  for (let i = 0; i < 5; i++) await writeAndFlush(eventAt(day(1, i)), eventAt(day(2, i)));
  expect(await files()).toBe(10);
  await world.upkeep.tick();
  expect(await files()).toBe(2);
  expect(world.upkeep.debt).toEqual({ groups: 0, files: 0, bytes: 0 });
  await writeAndFlush(eventAt(day(1, 9)));
  await world.upkeep.tick();
  expect(await files()).toBe(2);
  expect(await world.all('org_a')).toHaveLength(11);
  expect(world.failures).toEqual([]);
});

test('while a deletion counts, no file past its moment is merged with one before', async () => {
  await open();
  const events = [0, 1, 2].map((us) => eventAt(day(1, us), { sessionId: 's' }));
  await writeAndFlush(events[0]);
  await writeAndFlush(events[1]);
  const count = await world.delete('org_a', { sessionId: 's' }, async () => {
    await writeAndFlush(events[2]);
    await world.upkeep.tick();
    expect(await files()).toBe(2);
    await world.upkeep.compact({}, () => undefined);
    expect(await files()).toBe(2);
    expect(world.pending).toHaveLength(1);
  });
  expect(count).toBe(2);
  await world.upkeep.compact({}, () => undefined);
  expect(world.failures).toEqual([]);
  expect(world.pending).toEqual([]);
  expect(await world.all('org_a')).toEqual([events[2]]);
  expect(await world.metadata.catalog.garbage()).toEqual([]);
});

test('an erasure waits for a part of its deadline, then ends, and its rows never come back', async () => {
  await open({ settings: { compaction: false } });
  const kept = eventAt(day(1));
  const gone = eventAt(day(1, 1));
  await writeAndFlush(kept, gone);
  await world.delete('org_a', { ids: [gone.id] });
  const [deletion] = world.pending;
  await world.upkeep.tick();
  expect(world.erased).toEqual([]);
  expect(await world.upkeep.filesLeft(deletion)).toBe(1);
  world.hands.pass(HOUR_MS);
  await world.upkeep.tick();
  expect(world.erased).toEqual([deletion.id]);
  expect(world.log.rotations).toBe(1);
  expect(world.log.released).toBe(2);
  expect(world.pending).toEqual([]);
  const done = await world.metadata.deletions.find('org_a', deletion.id);
  expect(done).toMatchObject({ state: 'done', doneUs: world.hands.wallUs });
  await world.reopen();
  expect(await world.all('org_a')).toEqual([kept]);
  expect(world.deletions.goneUpTo('org_a')).toBe(gone.ingestedUs);
  expect(world.deletions.goneUpTo('org_b')).toBe(Number.NEGATIVE_INFINITY);
});

test('a deletion reaches what earlier streams of the log left, and nothing of later ones', async () => {
  await open();
  const at = (us: number, sessionId: string) => eventAt(day(1, us), { sessionId });
  const [a1, b1, c1] = [at(1, 'a'), at(2, 'b'), at(3, 'c')];
  await writeAndFlush(a1, b1, c1);
  expect(await world.delete('org_a', { sessionId: 'a' })).toBe(1);
  await world.flush();
  await world.loseLog();
  expect(await world.all('org_a')).toEqual([b1, c1]);
  const [a2, b2] = [at(4, 'a'), at(5, 'b')];
  await writeAndFlush(a2, b2);
  expect(await world.delete('org_a', { sessionId: 'b' })).toBe(2);
  expect(await world.all('org_a')).toEqual([c1, a2]);
  await world.flush();
  await world.loseLog();
  const b3 = at(6, 'b');
  await writeAndFlush(b3);
  expect(await world.all('org_a')).toEqual([c1, a2, b3]);
  const [first] = world.pending;
  expect(await world.upkeep.filesLeft(first)).toBe(1);
  await world.upkeep.compact({}, () => undefined);
  expect(world.failures).toEqual([]);
  expect(world.pending).toEqual([]);
  expect(world.erased).toHaveLength(2);
  expect(await world.all('org_a')).toEqual([c1, a2, b3]);
  const rows = (await world.metadata.catalog.partitions()).map(({ rows: n }) => n);
  expect(rows).toEqual([1, 1, 1]);
});

test('a log that is put back after another one began counts as later', async () => {
  await open();
  const [early, late] = [0, 1].map((us) => eventAt(day(1, us), { sessionId: 's' }));
  await writeAndFlush(early);
  const { stream, records, durable } = world.log;
  const kept = [...records];
  await world.loseLog();
  await world.delete('org_a', { sessionId: 's' });
  await world.flush();
  await world.loseLog();
  world.log.stream = stream;
  world.log.records.push(...kept);
  world.log.durable = durable;
  await world.reopen();
  await writeAndFlush(late);
  expect(await world.all('org_a')).toEqual([late]);
  expect(await world.delete('org_a', {})).toBe(1);
  expect(await world.all('org_a')).toEqual([]);
});

test('a file in quarantine keeps an erasure open', async () => {
  await open();
  await writeAndFlush(eventAt(day(1), { sessionId: 's' }));
  await writeAndFlush(eventAt(day(2), { sessionId: 's' }));
  const [bad] = await world.metadata.catalog.partitions();
  await world.metadata.catalog.quarantine(bad.id, 'test');
  await world.delete('org_a', { sessionId: 's' });
  await world.upkeep.compact({}, () => undefined);
  const [deletion] = world.pending;
  expect(await world.metadata.deletions.find('org_a', deletion.id)).toMatchObject({
    state: 'erasing',
  });
  expect(await world.upkeep.filesLeft(deletion)).toBe(1);
  expect(world.upkeep.filesBlocking).toBe(1);
  await expect(world.upkeep.dropQuarantined(['events/none'])).rejects.toThrow('not in quarantine');
  await world.upkeep.dropQuarantined([bad.key]);
  expect(world.pending).toEqual([]);
  expect(world.upkeep.filesBlocking).toBe(0);
});

test('retention drops a file in quarantine once all of it is expired, not before', async () => {
  await open({ settings: { compaction: false, retentionDays: 30 } });
  await world.metadata.orgs.create({ id: 'org_a', name: 'a', createdUs: 0, retentionDays: null });
  await writeAndFlush(eventAt(NOW_US - 40 * US_PER_DAY));
  await writeAndFlush(eventAt(NOW_US - 20 * US_PER_DAY));
  for (const { id } of await world.metadata.catalog.partitions()) {
    await world.metadata.catalog.quarantine(id, 'test');
  }
  world.hands.pass(HOUR_MS);
  await world.upkeep.tick();
  expect(world.failures).toEqual([]);
  const left = await world.metadata.catalog.quarantined();
  expect(left.map(({ minTimeUs }) => minTimeUs)).toEqual([NOW_US - 20 * US_PER_DAY]);
});

test('what expired leaves the disk, whole files unread', async () => {
  const read: string[] = [];
  await open({
    settings: { compaction: false, retentionDays: 30 },
    change: (catalog) => ({
      ...catalog,
      orgsOf: (id) => {
        read.push(id);
        return catalog.orgsOf(id);
      },
    }),
  });
  await world.metadata.orgs.create({ id: 'org_a', name: 'a', createdUs: 0, retentionDays: null });
  await world.metadata.orgs.create({ id: 'org_b', name: 'b', createdUs: 0, retentionDays: 900 });
  const old = eventAt(NOW_US - 31 * US_PER_DAY);
  const others = eventAt(NOW_US - 31 * US_PER_DAY + 1, { orgId: 'org_b' });
  const older = eventAt(NOW_US - 40 * US_PER_DAY);
  const short = eventAt(NOW_US - US_PER_DAY, { expiresUs: NOW_US + 1 });
  const long = eventAt(NOW_US - US_PER_DAY, { expiresUs: NOW_US + 400 * US_PER_DAY });
  await writeAndFlush(old, others, older, short, long);
  await world.upkeep.tick();
  expect(await files()).toBe(3);
  world.hands.pass(HOUR_MS);
  await world.upkeep.tick();
  expect(world.failures).toEqual([]);
  const rows = (await world.metadata.catalog.partitions()).map(({ rows: n }) => n);
  expect(rows).toEqual([1, 1]);
  expect(read).toHaveLength(1);
  expect(await world.all('org_a')).toEqual([long]);
  expect(await world.all('org_b')).toEqual([others]);
});

test('a clock that jumps forward deletes nothing', async () => {
  await open({ settings: { retentionDays: 30 } });
  await world.metadata.orgs.create({ id: 'org_a', name: 'a', createdUs: 0, retentionDays: null });
  const events = [eventAt(NOW_US), eventAt(NOW_US + 1, { expiresUs: NOW_US + US_PER_DAY })];
  await writeAndFlush(events[0]);
  await writeAndFlush(events[1]);
  for (let i = 0; i < 3; i++) {
    world.hands.pass(HOUR_MS);
    world.hands.wallUs += 400 * US_PER_DAY;
    await world.upkeep.tick();
    await world.upkeep.compact({}, () => undefined);
  }
  expect(await world.all('org_a', world.hands.wallUs - 30 * US_PER_DAY)).toEqual([]);
  world.hands.wallUs = NOW_US;
  await world.upkeep.tick();
  expect(await world.all('org_a')).toEqual(events);
});

test('a file that cannot be written again is set aside, and the others go on', async () => {
  let poison = '';
  await open({
    change: (catalog) => ({
      ...catalog,
      replace: async (removed, added, gone) => {
        if (removed.includes(poison)) throw new Error('poison');
        return catalog.replace(removed, added, gone);
      },
    }),
  });
  for (let i = 0; i < 3; i++) await writeAndFlush(eventAt(day(1, i)));
  const [{ id, key }] = await world.metadata.catalog.partitions();
  poison = id;
  for (let i = 0; i < 4; i++) await world.upkeep.tick();
  expect(world.aside).toEqual([key]);
  expect(world.upkeep.filesSetAside).toBe(1);
  expect(world.failures.length).toBe(3);
  expect(await files()).toBe(2);
  expect(await world.all('org_a')).toHaveLength(3);
  await world.upkeep.tick();
  expect(world.failures.length).toBe(3);
});

/** Few values, so that deletions meet many rows. */
const aRow = fc.record({
  at: fc.record({ day: fc.constantFrom(0, 1, 1, 1), us: fc.nat(1_000) }),
  orgId: fc.constantFrom('org_a', 'org_a', 'org_b'),
  sessionId: fc.constantFrom('', 's1', 's2'),
  agentId: fc.constantFrom('bot', 'bee'),
  livesHours: fc.constantFrom(null, null, null, 1, 3),
});
const aFilter = fc.oneof(
  fc.record({ pick: fc.nat(100) }),
  fc.record({ sessionId: fc.constantFrom('s1', 's2') }),
  fc.record({ agentIds: fc.constantFrom(['bot'], ['bee']) }),
  fc.record({ sinceUs: fc.nat(1_000), untilUs: fc.nat(1_000) }),
);
const aStep = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.array(aRow, { minLength: 1, maxLength: 6 }).map((rows) => ({ rows })),
  },
  { weight: 4, arbitrary: fc.constant({ act: 'flush' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({ orgId: fc.constantFrom('org_a', 'org_b'), filter: aFilter }),
  },
  {
    weight: 5,
    arbitrary: fc.constantFrom('tick', 'tick', 'compact', 'reopen', 'hour').map((act) => ({ act })),
  },
);
type Step = typeof aStep extends fc.Arbitrary<infer S> ? S : never;

test('upkeep changes no answer, whatever it runs between', async () => {
  await open();
  // An interrupted run would go on beside the clean-up.
  const endMs = performance.now() + 40_000;
  const steps = fc.array(aStep, { minLength: 5, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(steps, fc.boolean(), async (script, busy) => {
      if (performance.now() > endMs) return;
      await world.close();
      await open();
      const naive = new NaiveRows();
      for (const step of script) await run(step, naive, busy);
      await world.upkeep.compact({}, () => undefined);
      await check(naive);
      expect(world.pending).toEqual([]);
      expect(world.failures).toEqual([]);
      expect(await world.metadata.catalog.garbage()).toEqual([]);
    }),
    { numRuns: 15 },
  );
}, 90_000);

/** @param busy a tick runs beside every step */
async function run(step: Step, naive: NaiveRows, busy: boolean): Promise<void> {
  const beside = busy ? world.upkeep.tick() : Promise.resolve();
  if ('rows' in step) {
    const events = step.rows.map(({ at, livesHours, ...row }) => {
      const expiresUs =
        livesHours === null ? null : world.hands.wallUs + livesHours * 3_600_000_000;
      return eventAt(day(at.day, at.us), { ...row, expiresUs });
    });
    naive.rows.push(...events);
    await world.write(events);
  } else if ('filter' in step) {
    const filter = filterOf(step.filter, naive);
    const expected = naive.delete(step.orgId, filter, world.hands.wallUs);
    const between = () => (busy ? world.upkeep.tick() : Promise.resolve());
    expect(await world.delete(step.orgId, filter, between)).toBe(expected);
  } else if (step.act === 'flush') await world.flush();
  else if (step.act === 'tick') await world.upkeep.tick();
  else if (step.act === 'compact') await world.upkeep.compact({}, () => undefined);
  else if (step.act === 'hour') {
    await beside;
    world.hands.pass(HOUR_MS);
  } else {
    await beside;
    await world.flush();
    await world.reopen();
  }
  await beside;
  await check(naive);
}

function filterOf(filter: { pick: number } | object, naive: NaiveRows) {
  if ('sinceUs' in filter) {
    const { sinceUs, untilUs } = filter as { sinceUs: number; untilUs: number };
    return { sinceUs: day(1, sinceUs), untilUs: day(1, untilUs) };
  }
  if (!('pick' in filter)) return filter;
  const picked = naive.rows[filter.pick % Math.max(1, naive.rows.length)];
  return { ids: picked === undefined ? [] : [picked.id] };
}

async function check(naive: NaiveRows): Promise<void> {
  for (const orgId of ['org_a', 'org_b']) {
    const expected = naive.visible(orgId, world.hands.wallUs);
    expect(await world.all(orgId)).toEqual(expected);
    const stats = await world.recall.stats({ orgId, floorUs: null, kind: 'stats' }, {});
    expect(stats.count).toBe(expected.length);
  }
}
