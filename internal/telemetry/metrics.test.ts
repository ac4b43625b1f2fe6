import { expect, test } from 'vitest';
import { Family } from './cells.js';
import { Metrics } from './metrics.js';

/** The samples of the exposition by their name with labels. */
async function scrape(metrics: Metrics): Promise<Map<string, number>> {
  const { text } = await metrics.render();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

test('counters count, also from 0', async () => {
  const metrics = new Metrics('1.2.3');
  metrics.wrote(1);
  metrics.wrote(99);
  metrics.queried('list');
  metrics.queried('list');
  metrics.rejected('rate_limited');
  metrics.dedupHit();
  metrics.flushFailed();
  const samples = await scrape(metrics);
  expect(samples.get('memtrace_writes_total')).toBe(100);
  expect(samples.get('memtrace_queries_total{kind="list"}')).toBe(2);
  expect(samples.get('memtrace_rejected_total{reason="rate_limited"}')).toBe(1);
  expect(samples.get('memtrace_dedup_hits_total')).toBe(1);
  expect(samples.get('memtrace_flush_failures_total')).toBe(1);
  expect(samples.get('memtrace_wal_damaged_records_total')).toBe(0);
  expect(samples.get('memtrace_build_info{version="1.2.3"}')).toBe(1);
  metrics.wrote(1);
  expect((await scrape(metrics)).get('memtrace_writes_total')).toBe(101);
  metrics.close();
});

test('histograms are cumulative', async () => {
  const metrics = new Metrics('1');
  for (const seconds of [0.0001, 0.0003, 0.02, 100]) metrics.walSynced(seconds);
  const samples = await scrape(metrics);
  const bucket = (le: string) =>
    samples.get(`memtrace_wal_fsync_duration_seconds_bucket{le="${le}"}`);
  expect(bucket('0.0001')).toBe(1);
  expect(bucket('0.00025')).toBe(1);
  expect(bucket('0.0005')).toBe(2);
  expect(bucket('0.025')).toBe(3);
  expect(bucket('5')).toBe(3);
  expect(bucket('+Inf')).toBe(4);
  expect(samples.get('memtrace_wal_fsync_duration_seconds_count')).toBe(4);
  expect(samples.get('memtrace_wal_fsync_duration_seconds_sum')).toBeCloseTo(100.0204);
  metrics.close();
});

test('HTTP requests by route template, method and status', async () => {
  const metrics = new Metrics('1');
  metrics.httpDone('/api/v1/agents/:id', 'GET', 200, 0.003);
  metrics.httpDone(null, 'BREW', 404, 0.001);
  const samples = await scrape(metrics);
  const count = (labels: string) =>
    samples.get(`memtrace_http_request_duration_seconds_count{${labels}}`);
  expect(count('route="/api/v1/agents/:id",method="GET",status="200"')).toBe(1);
  expect(count('route="unmatched",method="other",status="404"')).toBe(1);
  metrics.close();
});

test('gauges are read at each scrape; absent or failing ones have no sample', async () => {
  const metrics = new Metrics('1');
  let rows = 5;
  metrics.observe('memtrace_buffer_size', () => rows);
  metrics.observe('memtrace_partitions', () => {
    throw new Error('not now');
  });
  expect((await scrape(metrics)).get('memtrace_buffer_size')).toBe(5);
  rows = 0;
  const samples = await scrape(metrics);
  expect(samples.get('memtrace_buffer_size')).toBe(0);
  expect(samples.has('memtrace_partitions')).toBe(false);
  expect(samples.has('memtrace_wal_bytes')).toBe(false);
  metrics.close();
});

test('every fixed name is there from the start, and the process describes itself', async () => {
  const metrics = new Metrics('1');
  const { text, contentType } = await metrics.render();
  for (const name of NAMES) expect(text).toContain(`# TYPE ${name} `);
  expect(text).toContain('process_resident_memory_bytes ');
  expect(text).toContain('memtrace_event_loop_lag_seconds{quantile="0.99"} ');
  expect(contentType).toContain('text/plain');
  metrics.close();
});

test('two instances do not share figures', async () => {
  const one = new Metrics('1');
  const two = new Metrics('1');
  one.wrote(7);
  expect((await scrape(two)).get('memtrace_writes_total')).toBe(0);
  one.close();
  two.close();
});

test('the number of label sets is bounded', () => {
  const family = new Family(['reason'], 3, () => ({ n: 0 }));
  for (const reason of ['a', 'b', 'c', 'd', 'e', 'f']) family.at(reason).n++;
  expect([...family.all()].map(({ labels, cell }) => [labels['reason'], cell.n])).toEqual([
    ['a', 1],
    ['b', 1],
    ['c', 1],
    ['other', 3],
  ]);
});

const NAMES = [
  'memtrace_writes_total',
  'memtrace_queries_total',
  'memtrace_buffer_size',
  'memtrace_buffer_bytes',
  'memtrace_http_request_duration_seconds',
  'memtrace_wal_fsync_duration_seconds',
  'memtrace_wal_bytes',
  'memtrace_wal_segments',
  'memtrace_wal_damaged_records_total',
  'memtrace_flush_duration_seconds',
  'memtrace_flush_failures_total',
  'memtrace_flushed_rows_total',
  'memtrace_oldest_unflushed_seconds',
  'memtrace_partitions',
  'memtrace_partitions_quarantined',
  'memtrace_query_duration_seconds',
  'memtrace_queries_running',
  'memtrace_queries_queued',
  'memtrace_dedup_hits_total',
  'memtrace_rejected_total',
  'memtrace_event_loop_lag_seconds',
  'memtrace_build_info',
  'memtrace_inflight_bytes',
];
