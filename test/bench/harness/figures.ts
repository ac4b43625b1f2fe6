/** One line of the result table. */
export interface Figure {
  name: string;
  /** The server's figure with its unit, e.g. `14.1 k/s, p50 3.9, p99 11 ms`. */
  figure: string;
  /** What it is measured against. */
  ceiling?: string;
  ratio?: number;
  /** e.g. `>= 0.80`; absent: the line only informs. */
  goal?: string;
  ok?: boolean;
}

/** `count / other >= goal`, said as a line. */
export function atLeast(ratio: number, goal: number): Pick<Figure, 'ratio' | 'goal' | 'ok'> {
  return { ratio, goal: `ratio >= ${goal}`, ok: ratio >= goal };
}

export function atMost(value: number, goal: number, unit: string): Pick<Figure, 'goal' | 'ok'> {
  return { goal: `<= ${goal} ${unit}`, ok: value <= goal };
}

/** 14123 → `14.1 k/s` */
export function perSecond(rate: number): string {
  return rate >= 1_000 ? `${(rate / 1_000).toFixed(1)} k/s` : `${rate.toFixed(0)} /s`;
}

export function ms(value: number): string {
  return value < 10 ? value.toFixed(1) : value.toFixed(0);
}

export function mb(bytes: number): number {
  return Math.round(bytes / 1_048_576);
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The smallest value that at least this share of the values does not exceed. NaN of nothing. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** `p50 1.2, p99 8.0 ms` */
export function latency(values: readonly number[]): string {
  return `p50 ${ms(median(values))}, p99 ${ms(quantile(values, 0.99))} ms`;
}

/** The aligned table for people. */
export function table(figures: readonly Figure[]): string {
  const head = ['figure', 'measured', 'against', 'ratio', 'goal', ''];
  const lines = figures.map((f) => [
    f.name,
    f.figure,
    f.ceiling ?? '',
    f.ratio === undefined ? '' : f.ratio.toFixed(2),
    f.goal ?? '',
    f.ok === undefined ? '' : f.ok ? 'ok' : 'MISS',
  ]);
  const widths = head.map((_, at) =>
    Math.max(...[head, ...lines].map((l) => (l[at] ?? '').length)),
  );
  const line = (cells: string[]) => cells.map((c, at) => c.padEnd(widths[at] ?? 0)).join('  ');
  const rule = widths.map((width) => '-'.repeat(width));
  return [head, rule, ...lines].map((cells) => line(cells).trimEnd()).join('\n');
}
