/** Time, passed in wherever it is needed so that a test can stand at any moment. */
export interface Clock {
  /** Wall clock in microseconds since 1970 UTC. Jumps when the operator or NTP says so. */
  nowUs(): number;
  /** Monotonic milliseconds since an arbitrary start. Never jumps. */
  monoMs(): number;
}

/** The clock of the machine; whole milliseconds, as finer digits would be invented. */
export const systemClock: Clock = {
  nowUs: () => Date.now() * 1000,
  monoMs: () => performance.now(),
};

export const US_PER_MS = 1_000;
export const US_PER_SECOND = 1_000_000;
export const US_PER_DAY = 86_400 * US_PER_SECOND;

/**
 * The UTC day number (days since 1970) of a time in microseconds; floors, so it is right below 0.
 */
export function dayOf(timeUs: number): number {
  return Math.floor(timeUs / US_PER_DAY);
}

/** `2026-11-21` for a day number. */
export function dayName(day: number): string {
  return new Date(day * 86_400_000).toISOString().slice(0, 10);
}

let cachedSecond = Number.NaN;
let cachedPrefix = '';
let cachedUs = Number.NaN;
let cachedText = '';

/** RFC 3339 UTC with microseconds: `2026-11-21T08:15:00.000000Z`. */
export function formatUs(timeUs: number): string {
  // A request's events mostly have one time, twice each.
  if (timeUs === cachedUs) return cachedText;
  const second = Math.floor(timeUs / US_PER_SECOND);
  if (second !== cachedSecond) {
    cachedSecond = second;
    cachedPrefix = new Date(second * 1000).toISOString().slice(0, 20);
  }
  const micros = timeUs - second * US_PER_SECOND;
  cachedUs = timeUs;
  cachedText = `${cachedPrefix}${String(micros).padStart(6, '0')}Z`;
  return cachedText;
}
