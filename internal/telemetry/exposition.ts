import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Family, HistogramCell, Metric } from './cells.js';

/** The only door to prom-client: turns cells into the text that Prometheus reads. */
export interface Exposition {
  text(): Promise<string>;
  readonly contentType: string;
}

/** An exposition of `metrics` and of the metrics of this process. */
export function expose(metrics: readonly Metric[]): Exposition {
  const registry = new Registry();
  for (const metric of metrics) register(metric, registry);
  const shared = processRegistry();
  return {
    text: async () => `${await registry.metrics()}\n${await shared.metrics()}`,
    contentType: registry.contentType,
  };
}

let ofProcess: Registry | null = null;

/** One for the process, which its metrics describe: its observers cannot be taken back. */
function processRegistry(): Registry {
  if (ofProcess === null) {
    ofProcess = new Registry();
    collectDefaultMetrics({ register: ofProcess });
  }
  return ofProcess;
}

function register(metric: Metric, registry: Registry): void {
  const { name, help } = metric;
  const registers = [registry];
  if (metric.type === 'histogram') {
    const labelNames = metric.family.labelNames;
    new CellHistogram({ name, help, labelNames, registers }, metric.family);
  } else if (metric.type === 'counter') {
    registerCounter(metric, registry);
  } else {
    new Gauge({
      name,
      help,
      labelNames: metric.labelNames,
      registers,
      collect() {
        this.reset();
        // A reset leaves a gauge without labels at 0, which nobody measured.
        if (metric.labelNames.length === 0) this.remove();
        for (const { labels, value } of metric.read()) this.set(labels, value);
      },
    });
  }
}

function registerCounter(metric: Metric & { type: 'counter' }, registry: Registry): void {
  new Counter({
    name: metric.name,
    help: metric.help,
    labelNames: metric.family.labelNames,
    registers: [registry],
    collect() {
      this.reset();
      for (const { labels, cell } of metric.family.all()) this.inc(labels, cell.value);
    },
  });
}

type HistogramOptions = ConstructorParameters<typeof Histogram<string>>[0];
type HistogramState = Awaited<ReturnType<Histogram<string>['get']>>;

/** A histogram whose buckets were counted elsewhere. */
class CellHistogram extends Histogram<string> {
  private readonly family: Family<HistogramCell>;
  private readonly title: Pick<HistogramState, 'name' | 'help'>;

  constructor(options: HistogramOptions, family: Family<HistogramCell>) {
    super(options);
    this.family = family;
    this.title = { name: options.name, help: options.help };
  }

  override async get(): Promise<HistogramState> {
    const values = [...this.family.all()].flatMap(({ labels, cell }) =>
      samplesOf(cell).map(({ suffix, le, value }) => ({
        metricName: `${this.title.name}_${suffix}`,
        labels: le === undefined ? labels : { ...labels, le },
        value,
      })),
    );
    // The type is an enumeration that exists only in the declarations of prom-client.
    const type = 'histogram' as unknown as HistogramState['type'];
    return { ...this.title, type, aggregator: 'sum', values, collect: () => undefined };
  }

  /** What the registry prefers to get() in prom-client 15. */
  getForPromString(): Promise<HistogramState> {
    return this.get();
  }
}

interface Sample {
  readonly suffix: 'bucket' | 'sum' | 'count';
  readonly le?: string | number;
  readonly value: number;
}

function samplesOf(cell: HistogramCell): Sample[] {
  let total = 0;
  const samples: Sample[] = [...cell.bounds, '+Inf'].map((le, i) => {
    total += cell.counts[i] ?? 0;
    return { suffix: 'bucket', le, value: total };
  });
  samples.push({ suffix: 'sum', value: cell.sum }, { suffix: 'count', value: total });
  return samples;
}
