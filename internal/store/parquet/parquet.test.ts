import { expect, test } from 'vitest';
import { US_PER_DAY } from '../../base/clock.js';
import { batchOf, DAY0, eventAt, queryOf } from '../model.suite.js';
import { storeSuite } from '../store.suite.js';
import { TestStore } from './support.suite.js';

storeSuite('the embedded store', () => TestStore.open());

const day = (n: number, us = 0) => (DAY0 + n) * US_PER_DAY + us;

test('a flush of many days makes one file a day and leaves nothing else', async () => {
  const under = await TestStore.open();
  const events = Array.from({ length: 60 }, (_, i) => eventAt(day(i % 30, i), { sessionId: 's' }));
  await under.store.write(batchOf(0, 1, events));
  const partitions = await under.catalog.partitions();
  expect(partitions.map(({ day }) => day)).toEqual(Array.from({ length: 30 }, (_, i) => DAY0 + i));
  expect((await under.files('events')).sort()).toEqual(partitions.map(({ key }) => key).sort());
  expect(await under.files('tmp')).toEqual([]);
  expect(under.store.partitions).toEqual({ live: 30, quarantined: 0 });
  const page = await under.store.read(queryOf({ filter: { sessionId: 's' }, limit: 3 }));
  expect(page.events).toEqual([events[59], events[29], events[58]]);
  await under.close();
});

test('a large batch goes through a thread of its own, and so does the next', async () => {
  const under = await TestStore.open();
  const events = (from: number) =>
    Array.from({ length: 6_000 }, (_, i) => eventAt(day(i % 3, from + i), { sessionId: 's' }));
  const [first, second] = [events(0), events(10_000)];
  await under.store.write(batchOf(0, 1, first));
  await under.store.write(batchOf(1, 2, second));
  expect(under.store.partitions).toEqual({ live: 6, quarantined: 0 });
  expect(await under.files('tmp')).toEqual([]);
  const stats = await under.store.stats(queryOf());
  expect(stats.count).toBe(12_000);
  const filter = { sinceUs: day(1), untilUs: day(2) };
  const page = await under.store.read(queryOf({ filter, order: 'asc', limit: 10_000 }));
  const ofDay = [...first, ...second].filter(({ timeUs }) => timeUs >= day(1) && timeUs < day(2));
  expect(page.events).toEqual(ofDay);
  await under.close();
});

test('a context read brings what a context shows', async () => {
  const under = await TestStore.open();
  const event = eventAt(day(1), {
    metadataJson: '{"a":1}',
    importance: 0.5,
    dedupKey: 'key',
    sessionId: 's',
  });
  await under.store.write(batchOf(0, 1, [event]));
  const [found] = (await under.store.read(queryOf({ fields: 'context' }))).events;
  const { timeUs, id, content, metadataJson, importance, memoryType, eventType } = event;
  const shown = { timeUs, id, content, metadataJson, importance, memoryType, eventType };
  expect(found).toMatchObject({ ...shown, dedupKey: '', ingestedUs: 0 });
  await under.close();
});

test('a zone of the machine other than UTC changes nothing', async () => {
  const zone = process.env['TZ'];
  process.env['TZ'] = 'America/New_York';
  const under = await TestStore.open();
  const event = eventAt(day(1, 5), { expiresUs: day(900, 3) });
  await under.store.write(batchOf(0, 1, [event]));
  expect((await under.store.read(queryOf())).events).toEqual([event]);
  const filter = { sinceUs: day(1, 5), untilUs: day(1, 6) };
  expect((await under.store.read(queryOf({ filter }))).events).toEqual([event]);
  await under.close();
  if (zone === undefined) delete process.env['TZ'];
  else process.env['TZ'] = zone;
});
