/** How many backups are kept: the newest of each of so many hours, days and weeks that have one. */
export interface KeepPolicy {
  hourly: number;
  daily: number;
  weekly: number;
  /** Older ones go all the same. */
  notBeforeUs?: number;
}

export interface Dated {
  id: string;
  createdUs: number;
}

const HOUR_US = 3_600_000_000;
const DAY_US = 24 * HOUR_US;
const WEEK_US = 7 * DAY_US;
/** Day 0 of 1970 was a Thursday: weeks begin on Mondays. */
const MONDAY_US = 3 * DAY_US;

/**
 * The ids of those to keep. Pure, and without a clock: hours, days and weeks without a backup do
 * not count, so that a server that was off for a month loses nothing by it. The newest is always
 * kept.
 */
export function keptBy(policy: KeepPolicy, backups: readonly Dated[]): Set<string> {
  const newestFirst = [...backups].sort((a, b) => b.createdUs - a.createdUs);
  const kept = new Set(newestFirst.slice(0, 1).map(({ id }) => id));
  const keepNewest = (count: number, spanOf: (us: number) => number) => {
    const spans = new Set<number>();
    for (const { id, createdUs } of newestFirst) {
      const span = spanOf(createdUs);
      if (spans.has(span)) continue;
      if (spans.size === count) return;
      spans.add(span);
      kept.add(id);
    }
  };
  keepNewest(policy.hourly, (us) => Math.floor(us / HOUR_US));
  keepNewest(policy.daily, (us) => Math.floor(us / DAY_US));
  keepNewest(policy.weekly, (us) => Math.floor((us + MONDAY_US) / WEEK_US));
  for (const { id, createdUs } of newestFirst.slice(1)) {
    if (createdUs < (policy.notBeforeUs ?? Number.NEGATIVE_INFINITY)) kept.delete(id);
  }
  return kept;
}
