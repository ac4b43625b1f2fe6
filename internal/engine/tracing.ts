import type { Config } from '../config/table.js';
import type { Log } from '../log/log.js';
import type { ParquetStore } from '../store/parquet/parquet.js';
import type { Store } from '../store/store.js';
import type { Logger } from '../telemetry/log.js';
import type { Tracer } from '../telemetry/tracing.js';
import { VERSION } from './version.js';

/**
 * What stands between rooms when traces are wanted. Without a tracer each of these answers with
 * what it was given, so that nothing is paid for.
 */
export async function tracerOf({ telemetry }: Config, log: Logger): Promise<Tracer | null> {
  if (telemetry.otlpEndpoint === '') return null;
  // Loaded here only: it takes 100 ms and some megabytes.
  const { OtlpTracer } = await import('../telemetry/otlp.js');
  return new OtlpTracer({
    endpoint: telemetry.otlpEndpoint,
    sampleRatio: telemetry.samplePercent / 100,
    serviceName: telemetry.serviceName,
    version: VERSION,
    onTrouble: (reason) => log.warn({ reason }, 'traces cannot be sent'),
  });
}

/** Appends as spans. The promise is the log's own: what hangs on it runs in the log's order. */
export function tracedLog(log: Log, tracer: Tracer | null): Log {
  if (tracer === null) return log;
  return {
    get stream() {
      return log.stream;
    },
    get durable() {
      return log.durable;
    },
    get health() {
      return log.health;
    },
    append(payload) {
      const end = tracer.begin('wal.append');
      const appended = log.append(payload);
      appended.then(
        () => end(false),
        () => end(true),
      );
      return appended;
    },
    read: (after) => log.read(after),
    release: (position) => log.release(position),
    close: () => log.close(),
  };
}

/** Queries and flushes as spans. */
export function tracedStore(store: Store, tracer: Tracer | null): Store {
  if (tracer === null) return store;
  return {
    get health() {
      return store.health;
    },
    write: (batch) => {
      const attributes = { 'memtrace.rows': batch.events.length };
      return tracer.job('store.flush', attributes, () => store.write(batch));
    },
    read: (query) => {
      const attributes = { 'memtrace.query.kind': query.kind, 'memtrace.query.limit': query.limit };
      return tracer.step('store.read', attributes, async (note) => {
        const page = await store.read(query);
        note({ 'memtrace.rows': page.events.length });
        return page;
      });
    },
    stats: (query) => tracer.step('store.stats', {}, () => store.stats(query)),
    position: (stream) => store.position(stream),
    close: () => store.close(),
  };
}

type Rewrites = Pick<ParquetStore, 'rewrite' | 'drop' | 'discard' | 'collectGarbage'>;

/** Merges and erasures of files as spans. */
export function tracedRewrites(store: Rewrites, tracer: Tracer | null): Rewrites {
  if (tracer === null) return store;
  return {
    rewrite: (order) => {
      const attributes = { 'memtrace.files': order.inputs.length, 'memtrace.merge': order.merge };
      return tracer.job('store.rewrite', attributes, async (note) => {
        const done = await store.rewrite(order);
        note({ 'memtrace.bytes_in': done.bytesIn, 'memtrace.bytes_out': done.bytesOut });
        return done;
      });
    },
    drop: (...order) => store.drop(...order),
    discard: (...order) => store.discard(...order),
    collectGarbage: () => store.collectGarbage(),
  };
}
