/**
 * Counters and histograms as plain numbers. The hot path adds to these; prom-client, which hashes
 * the labels at every call and costs 30 ms to load, sees them only when somebody scrapes.
 */

export class CounterCell {
  value = 0;

  add(n = 1): void {
    this.value += n;
  }
}

export class HistogramCell {
  /** Upper bounds, increasing; what is above the last one only counts in the total. */
  readonly bounds: readonly number[];
  /** Observations of each bucket alone; the last is that above all bounds. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds, counts } = this;
    let i = 0;
    while (i < bounds.length && value > (bounds[i] ?? 0)) i++;
    counts[i] = (counts[i] ?? 0) + 1;
    this.sum += value;
  }
}

export type Labels = Readonly<Record<string, string>>;

/** The value of every label of what comes after a family is full. */
const OVERFLOW = 'other';

/**
 * The cells of one metric by their labels. The number of label sets is bounded: those beyond
 * `maxCells` share one cell, so no caller can grow the server's memory or the monitoring's.
 */
export class Family<C> {
  readonly labelNames: readonly string[];
  private readonly cells = new Map<string, { readonly labels: Labels; readonly cell: C }>();
  private readonly make: () => C;
  private readonly maxCells: number;

  constructor(labelNames: readonly string[], maxCells: number, make: () => C) {
    this.labelNames = labelNames;
    this.maxCells = maxCells;
    this.make = make;
  }

  /** The cell of these label values, in the order of the names. About 50 ns with one label. */
  at(...values: readonly string[]): C {
    const key = values.length === 1 ? (values[0] ?? '') : values.join('\n');
    return this.cells.get(key)?.cell ?? this.add(key, values);
  }

  private add(key: string, values: readonly string[]): C {
    if (this.cells.size >= this.maxCells && !values.every((value) => value === OVERFLOW)) {
      return this.at(...values.map(() => OVERFLOW));
    }
    const cell = this.make();
    const labels = Object.fromEntries(this.labelNames.map((name, i) => [name, values[i] ?? '']));
    this.cells.set(key, { labels, cell });
    return cell;
  }

  /** Every cell with its labels. */
  all(): Iterable<{ readonly labels: Labels; readonly cell: C }> {
    return this.cells.values();
  }
}

/** One metric as the exposition needs it. */
export type Metric = { readonly name: string; readonly help: string } & (
  | { readonly type: 'counter'; readonly family: Family<CounterCell> }
  | { readonly type: 'histogram'; readonly family: Family<HistogramCell> }
  | { readonly type: 'gauge'; readonly labelNames: readonly string[]; readonly read: ReadGauge }
);

/** The samples of a gauge at this moment. */
export type ReadGauge = () => readonly { readonly labels: Labels; readonly value: number }[];
