import { Scrubber } from '../upkeep/scrub.js';
import type { Opened } from './opened.js';
import type { Host } from './services.js';

/** Reads files again in the background, and shows it in metrics and log; null if it is off. */
export function scrubberOf(
  host: Pick<Host, 'config' | 'clock' | 'metrics' | 'log'>,
  { metadata, store }: Pick<Opened, 'metadata' | 'store'>,
): Scrubber | null {
  const { config, clock, metrics, log } = host;
  const { intervalMs, rateBytes } = config.scrub;
  if (intervalMs === 0) return null;
  const scrubber = new Scrubber({
    clock,
    catalog: metadata.catalog,
    store,
    intervalMs,
    bytesPerSecond: rateBytes,
    onChecked: (bytes, damaged) => metrics.scrubbed(bytes, damaged),
    onFailed: (error) =>
      log.warn({ err: error }, 'a file could not be read again; it is tried later'),
  });
  metrics.observe('memtrace_scrub_oldest_seconds', () => scrubber.oldestAgeS);
  return scrubber;
}
