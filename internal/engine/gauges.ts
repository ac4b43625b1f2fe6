import type { Metrics } from '../telemetry/metrics.js';
import type { Opened } from './opened.js';

/** Hands the metrics what they read at each scrape. */
export function observe(metrics: Metrics, { recent, wal, store }: Opened): void {
  metrics.observe('memtrace_buffer_size', () => recent.rows);
  metrics.observe('memtrace_buffer_bytes', () => recent.bytes);
  metrics.observe('memtrace_oldest_unflushed_seconds', () => recent.oldestAgeMs / 1000);
  metrics.observe('memtrace_wal_bytes', () => wal.health.bytes);
  metrics.observe('memtrace_wal_segments', () => wal.health.segments);
  metrics.observe('memtrace_partitions', () => store.partitions.live);
  metrics.observe('memtrace_partitions_quarantined', () => store.partitions.quarantined);
}
