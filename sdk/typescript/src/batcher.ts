import { type Batch, byteLength, type Entry, type Route } from './batch.js';
import { deliver } from './delivery.js';
import { MemtraceError } from './errors.js';
import { Lane } from './lane.js';
import { Stamps } from './stamp.js';
import type { Transport } from './transport.js';
import type { MemoryInput } from './types.js';

export interface BatcherOptions {
  /** Of one request, 1 to 1,000. Default 500. */
  maxItems?: number;
  /** Of one request. Default 1 MiB. */
  maxBytes?: number;
  /** How long an event waits for others, in milliseconds. Default 50. */
  maxDelay?: number;
  /** Of all events not yet acknowledged, as JSON. Default 32 MiB. */
  maxBufferedBytes?: number;
  /**
   * With a full buffer, `add` waits until there is room (`block`, the default) or leaves the event
   * out and tells onDrop (`drop`).
   */
  whenFull?: 'block' | 'drop';
  onDrop?: (event: MemoryInput) => void;
  /** Told what the server refused, or what was left when close was aborted. */
  onError?: (error: unknown, events: MemoryInput[]) => void;
  /** Told the events of a batch once they are durable. */
  onAcknowledged?: (count: number) => void;
  /** How many requests may be under way. In each lane, events keep their order. Default 4. */
  lanes?: number;
  /** Events with the same key are in the same lane. Default: their agent_id. */
  laneKey?: (event: MemoryInput) => string;
  /**
   * Whether an event without a `time` gets that of its adding: so an outage does not change when
   * things happened, and two equal events are two. Default true.
   */
  stampTime?: boolean;
}

/** Counts since the batcher was made. */
export interface BatcherStats {
  added: number;
  acknowledged: number;
  failed: number;
  dropped: number;
  bufferedBytes: number;
}

type HookName = 'onDrop' | 'onError' | 'onAcknowledged' | 'laneKey';

interface Waiting {
  entry: Entry;
  admitted: Promise<void>;
  admit: () => void;
}

/** Events that were refused or given up. */
export class DeliveryError extends MemtraceError {
  override readonly name = 'DeliveryError';
  readonly failed: number;

  constructor(failed: number, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const { status, code } =
      cause instanceof MemtraceError ? cause : { status: 0, code: undefined };
    super(`${failed} events were not stored: ${why}`, { status, code, cause });
    this.failed = failed;
  }
}

/**
 * Collects events and sends them in batches; an event is kept until the server has acknowledged or
 * refused it, over restarts of the server. Its memory is bounded: await `add`.
 */
export class Batcher {
  private readonly options: Required<Omit<BatcherOptions, HookName>>;
  private readonly hooks: Pick<BatcherOptions, HookName>;
  private readonly lanes: Lane[] = [];
  private readonly routes = new Map<string, Route>();
  private readonly waiting: Waiting[] = [];
  private readonly stamps = new Stamps();
  private readonly abort = new AbortController();
  private readonly counts = { added: 0, acknowledged: 0, failed: 0, dropped: 0 };
  private bufferedBytes = 0;
  private closed = false;
  /** Not yet reported by a flush. */
  private unreported: { count: number; cause: unknown } | undefined;

  constructor(transport: Transport, options: BatcherOptions) {
    const { onDrop, onError, onAcknowledged, laneKey, ...rest } = options;
    this.hooks = { onDrop, onError, onAcknowledged, laneKey };
    this.options = {
      maxItems: rest.maxItems ?? 500,
      maxBytes: rest.maxBytes ?? 1024 * 1024,
      maxDelay: rest.maxDelay ?? 50,
      maxBufferedBytes: rest.maxBufferedBytes ?? 32 * 1024 * 1024,
      whenFull: rest.whenFull ?? 'block',
      lanes: Math.max(1, rest.lanes ?? 4),
      stampTime: rest.stampTime ?? true,
    };
    const send = (batch: Batch) => deliver(transport, batch.entries, this, this.abort.signal);
    for (let i = 0; i < this.options.lanes; i += 1) this.lanes.push(new Lane(this.options, send));
  }

  /**
   * Takes an event. Resolves once there is room for it, which is not when it is stored: `flush` and
   * `close` tell that. Rejects after `close`.
   */
  async add(event: MemoryInput): Promise<void> {
    if (this.closed) throw new Error('the batcher is closed');
    const json = this.jsonOf(event);
    const bytes = byteLength(json);
    const room = this.waiting.length === 0 && this.hasRoomFor(bytes);
    if (!room && this.options.whenFull === 'drop') {
      this.counts.dropped += 1;
      this.tell(() => this.hooks.onDrop?.(event));
      return;
    }
    this.counts.added += 1;
    const route = this.routeOf(event);
    route.underWay += 1;
    const entry = { json, bytes, route };
    if (room) this.admit(entry);
    else await this.waitForRoom(entry);
  }

  /**
   * Sends what there is. Resolves when everything added before it is durable on the server; rejects
   * with a DeliveryError if some of it, or of what was added since the flush before, was refused.
   */
  async flush(): Promise<void> {
    await this.waiting.at(-1)?.admitted;
    await Promise.all(this.lanes.map((lane) => lane.settled()));
    const failures = this.unreported;
    this.unreported = undefined;
    if (failures !== undefined) throw new DeliveryError(failures.count, failures.cause);
  }

  /**
   * Takes no more, and flushes. When the signal is aborted, it stops trying: what is left goes to
   * onError, and this rejects.
   */
  async close(options: { signal?: AbortSignal } = {}): Promise<void> {
    this.closed = true;
    const stop = () => this.abort.abort(options.signal?.reason);
    if (options.signal?.aborted) stop();
    options.signal?.addEventListener('abort', stop, { once: true });
    try {
      await this.flush();
    } finally {
      options.signal?.removeEventListener('abort', stop);
    }
  }

  get stats(): BatcherStats {
    return { ...this.counts, bufferedBytes: this.bufferedBytes };
  }

  /** @internal */
  acknowledged(entries: readonly Entry[]): void {
    this.counts.acknowledged += entries.length;
    this.release(entries);
    this.tell(() => this.hooks.onAcknowledged?.(entries.length));
  }

  /** @internal */
  failed(entries: readonly Entry[], error: unknown): void {
    this.counts.failed += entries.length;
    const before = this.unreported;
    const count = (before?.count ?? 0) + entries.length;
    this.unreported = { count, cause: before?.cause ?? error };
    this.release(entries);
    const { onError } = this.hooks;
    if (onError === undefined) return;
    this.tell(() =>
      onError(
        error,
        entries.map(({ json }) => JSON.parse(json) as MemoryInput),
      ),
    );
  }

  /** A callback that throws must not stop the lane: its error becomes an uncaught one. */
  private tell(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  private jsonOf(event: MemoryInput): string {
    const json = JSON.stringify(event);
    if (!this.options.stampTime || event.time !== undefined) return json;
    return `${json.slice(0, -1)},"time":"${this.stamps.next()}"}`;
  }

  /** A key that has nothing under way goes to the lane with the least to do. */
  private routeOf(event: MemoryInput): Route {
    const key = this.hooks.laneKey?.(event) ?? event.agent_id;
    let route = this.routes.get(key);
    if (route === undefined) {
      route = { key, lane: this.freest(), underWay: 0 };
      this.routes.set(key, route);
    }
    return route;
  }

  private freest(): number {
    const loads = this.lanes.map(({ load }) => load);
    return loads.indexOf(Math.min(...loads));
  }

  private hasRoomFor(bytes: number): boolean {
    const { bufferedBytes } = this;
    return bufferedBytes === 0 || bufferedBytes + bytes <= this.options.maxBufferedBytes;
  }

  private admit(entry: Entry): void {
    this.bufferedBytes += entry.bytes;
    this.lanes[entry.route.lane].push(entry);
  }

  private waitForRoom(entry: Entry): Promise<void> {
    let admit = () => {};
    const admitted = new Promise<void>((resolve) => {
      admit = resolve;
    });
    this.waiting.push({ entry, admitted, admit });
    return admitted;
  }

  private release(entries: readonly Entry[]): void {
    for (const { bytes, route } of entries) {
      this.bufferedBytes -= bytes;
      route.underWay -= 1;
      if (route.underWay === 0) this.routes.delete(route.key);
    }
    let admitted = 0;
    for (const { entry, admit } of this.waiting) {
      if (!this.hasRoomFor(entry.bytes)) break;
      this.admit(entry);
      admit();
      admitted += 1;
    }
    if (admitted > 0) this.waiting.splice(0, admitted);
  }
}
