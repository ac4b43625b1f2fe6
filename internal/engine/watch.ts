import { statfs } from 'node:fs/promises';
import type { Metrics } from '../telemetry/metrics.js';
import type { Readiness } from './services.js';

/** What is looked at now and then, so that a scrape need not wait for a disk or a database. */
const LOOK_EVERY_MS = 5_000;
const READY_VALUE: Record<Readiness['state'], number> = { ready: 1, degraded: 0.5, 'not ready': 0 };

export interface WatchParts {
  metrics: Metrics;
  dataDir: string;
  memoryBytes: number;
  readiness(): Promise<Readiness>;
}

/** Keeps the gauges of readiness, disk and memory. */
export function watch({ metrics, dataDir, memoryBytes, readiness }: WatchParts): NodeJS.Timeout {
  const seen = { ready: 0, free: Number.NaN, size: Number.NaN };
  const look = async (): Promise<void> => {
    seen.ready = READY_VALUE[(await readiness()).state];
    const disk = await statfs(dataDir).catch(() => null);
    if (disk === null) return;
    seen.free = disk.bavail * disk.bsize;
    seen.size = disk.blocks * disk.bsize;
  };
  metrics.observe('memtrace_ready', () => seen.ready);
  metrics.observe('memtrace_memory_limit_bytes', () => memoryBytes);
  metrics.observe('memtrace_disk_free_bytes', () => seen.free);
  metrics.observe('memtrace_disk_size_bytes', () => seen.size);
  void look();
  return setInterval(() => void look(), LOOK_EVERY_MS).unref();
}
