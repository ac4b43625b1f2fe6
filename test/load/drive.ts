import { setTimeout as sleep } from 'node:timers/promises';
import { ms, quantile } from '../bench/harness/figures.js';
import { residentBytes } from './limits.js';
import type { Kind, Mix } from './mix.js';

/** What one stretch of load saw. */
export interface Stretch {
  seconds: number;
  sent: number;
  /** By kind: milliseconds from the moment when the request was due to its whole answer. */
  latencies: Map<Kind, number[]>;
  health: number[];
  /** By status, other than 2xx; 0 = no answer. */
  failures: Map<number, number>;
  /** Bytes, every second. */
  memory: number[];
}

const TICK_MS = 4;
const HEALTH_EVERY_MS = 250;
const MAX_OPEN = 5_000;

/**
 * Open loop: requests come at their rate whether or not earlier ones were answered, and a latency
 * counts from when its request was due, so that a server that stands still does not hide it.
 */
export async function drive(
  mix: Mix,
  pid: number,
  { rate, seconds }: { rate: number; seconds: number },
): Promise<Stretch> {
  const stretch: Stretch = {
    seconds,
    sent: 0,
    latencies: new Map(),
    health: [],
    failures: new Map(),
    memory: [],
  };
  const open = new Set<Promise<void>>();
  const start = performance.now();
  let sampledMs = start;
  let healthMs = start;
  for (;;) {
    const now = performance.now();
    if (now - start >= seconds * 1000) break;
    const due = Math.floor(((now - start) / 1000) * rate);
    while (stretch.sent < due && open.size < MAX_OPEN) {
      const dueMs = start + (stretch.sent / rate) * 1000;
      stretch.sent += 1;
      track(open, one(mix, stretch, dueMs));
    }
    if (now - healthMs >= HEALTH_EVERY_MS) {
      healthMs = now;
      track(open, probe(mix, stretch));
    }
    if (now - sampledMs >= 1_000) {
      sampledMs = now;
      stretch.memory.push(residentBytes(pid));
    }
    await sleep(TICK_MS);
  }
  await Promise.all(open);
  return stretch;
}

function track(open: Set<Promise<void>>, work: Promise<void>): void {
  open.add(work);
  void work.finally(() => open.delete(work));
}

async function one(mix: Mix, stretch: Stretch, dueMs: number): Promise<void> {
  const kind = mix.next();
  const status = await mix.send(kind).then(
    (reply) => reply.status,
    () => 0,
  );
  if (status < 200 || status >= 300) {
    stretch.failures.set(status, (stretch.failures.get(status) ?? 0) + 1);
    return;
  }
  const list = stretch.latencies.get(kind) ?? [];
  stretch.latencies.set(kind, list);
  list.push(performance.now() - dueMs);
}

async function probe(mix: Mix, stretch: Stretch): Promise<void> {
  const reply = await mix.health().catch(() => null);
  stretch.health.push(reply?.status === 200 ? reply.ms : 60_000);
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

/** All latencies of a stretch. */
export function allOf(stretch: Stretch): number[] {
  return [...stretch.latencies.values()].flat();
}

/** One line a kind: how many, mean, P50, P95, P99 and the slowest. */
export function describe(stretch: Stretch): string {
  const line = (name: string, values: readonly number[]) => {
    const shares = [0.5, 0.95, 0.99, 1].map((share) => ms(quantile(values, share)));
    return `| ${name} | ${values.length} | ${ms(mean(values))} | ${shares.join(' | ')} |`;
  };
  const rows = [...stretch.latencies].map(([kind, values]) => line(kind, values));
  return [
    '| ms | requests | mean | P50 | P95 | P99 | slowest |',
    '|---|---|---|---|---|---|---|',
    ...rows.sort(),
    line('**all**', allOf(stretch)),
    line('GET /health', stretch.health),
  ].join('\n');
}
