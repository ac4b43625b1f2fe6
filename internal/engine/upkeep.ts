import { US_PER_SECOND } from '../base/clock.js';
import type { Config } from '../config/table.js';
import { Upkeep } from '../upkeep/upkeep.js';
import type { Opened } from './opened.js';
import type { Host } from './services.js';
import { tracedRewrites } from './tracing.js';

/** How long wall and monotonic clock must agree before anything expires from the disk. */
const TRUST_AFTER_MS = 3_600_000;

/** Makes the background work over what is open, and shows it in metrics and log. */
export function upkeepOf(host: Omit<Host, 'services'>, opened: Opened) {
  const { config, clock, metrics, log } = host;
  const upkeep = new Upkeep({
    ...opened,
    flusher: { flush: () => opened.flusher.flushSoFar() },
    store: tracedRewrites(opened.store, host.tracer),
    clock,
    log: opened.held,
    settings: settingsOf(config),
    observer: {
      merged: ({ inputs, output, rowsGone, bytesIn, bytesOut }) => {
        metrics.compacted(bytesIn, bytesOut);
        const day = inputs[0]?.day;
        const files = inputs.length;
        const rows = output?.rows ?? 0;
        const merged = { day, files, rows, rows_gone: rowsGone, bytesIn, bytesOut };
        log.debug(merged, 'merged files');
      },
      removed: (rows, why) => log.info({ rows, why }, 'removed rows from the disk'),
      erased: (erasure) => log.info({ erasure }, 'an erasure is done'),
      failed: (job, error) => {
        if (job === 'compaction') metrics.compactionFailed();
        log.warn({ err: error, job }, 'background work failed; it is tried again');
      },
      setAside: (key, error) => {
        log.error({ err: error, key }, 'a file cannot be merged and is left as it is');
      },
    },
  });
  metrics.observe('memtrace_compaction_debt_files', () => upkeep.debt.files);
  metrics.observe('memtrace_compaction_debt_bytes', () => upkeep.debt.bytes);
  metrics.observe('memtrace_compaction_set_aside_files', () => upkeep.filesSetAside);
  metrics.observe('memtrace_erasures_blocked_files', () => upkeep.filesBlocking);
  metrics.observe('memtrace_erasures_pending', () => upkeep.pending.count);
  metrics.observe('memtrace_erasure_oldest_seconds', () => {
    const { oldestUs } = upkeep.pending;
    return oldestUs === null ? 0 : (clock.nowUs() - oldestUs) / US_PER_SECOND;
  });
  return upkeep;
}

function settingsOf({ compaction, retention, erasure }: Config) {
  return {
    compaction: compaction.enabled,
    compactEveryMs: compaction.intervalMs,
    minFiles: compaction.minFiles,
    sweepEveryMs: retention.sweepIntervalMs,
    retentionDays: retention.days,
    erasureDeadlineMs: erasure.deadlineMs,
    trustAfterMs: TRUST_AFTER_MS,
  };
}
