/** Sizes and durations: as operators write them ("64MiB", "1h30m"), and as numbers. */

const BYTES_PER: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
  // Kubernetes writes its quantities without the B.
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  ti: 2 ** 40,
};

const MS_PER: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** `64MiB`, `1.5GB`, `10Mi` or a bare number of bytes → whole bytes; null if it is none. */
export function parseBytes(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  if (match === null) return null;
  const unit = match[2] ?? '';
  return whole(
    Number(match[1]) * (BYTES_PER[unit === '' ? 'b' : unit.toLowerCase()] ?? Number.NaN),
  );
}

/** `30s`, `1h30m`, `250ms` or a bare number of seconds → whole milliseconds; null if it is none. */
export function parseDuration(text: string): number | null {
  const compact = text.trim();
  if (/^\d+(\.\d+)?$/.test(compact)) return whole(Number(compact) * 1_000);
  if (!/^(\d+(\.\d+)?(ms|[smhdw]))+$/.test(compact)) return null;
  let total = 0;
  for (const [, number, unit] of compact.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g)) {
    total += Number(number) * (MS_PER[unit ?? ''] ?? Number.NaN);
  }
  return whole(total);
}

function whole(value: number): number | null {
  const rounded = Math.round(value);
  return Number.isSafeInteger(rounded) ? rounded : null;
}

/** The shortest exact form: 67108864 → `64MiB`, 1000 → `1000B`. */
export function formatBytes(bytes: number): string {
  return formatWith(bytes, [
    ['TiB', 2 ** 40],
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
    ['B', 1],
  ]);
}

/** The shortest exact form: 300000 → `5m`, 90000 → `90s`. */
export function formatDuration(ms: number): string {
  return formatWith(ms, [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
    ['ms', 1],
  ]);
}

function formatWith(value: number, units: readonly (readonly [string, number])[]): string {
  if (value === 0) return '0';
  const fit = units.find(([, size]) => value % size === 0);
  return fit === undefined ? String(value) : `${value / fit[1]}${fit[0]}`;
}
