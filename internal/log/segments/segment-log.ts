import type { Worker } from 'node:worker_threads';
import { assert } from '../../base/assert.js';
import { Fault } from '../../fault/fault.js';
import type { Log, LogHealth, LogRecord, Payload } from '../log.js';
import type { Damage } from './damage.js';
import type { Call, Command, Report, Stats, Synced } from './protocol.js';
import type { Chunk, Cursor } from './reader.js';
import { type Group, isTooLarge, Staging, stage } from './staging.js';

/** What a SegmentLog tells, besides answering. All on the caller's thread; none may throw. */
export interface SegmentLogEvents {
  /**
   * After each fdatasync of records: its milliseconds, the records and the bytes it made durable.
   */
  onSync?: (ms: number, records: number, bytes: number) => void;
  /** The log is poisoned: stop acknowledging and exit. Called once. */
  onFailed?: (cause: Error) => void;
  /** Once a start for each piece of damage, also for those met while opening. */
  onDamage?: (damage: Damage) => void;
}

export interface SegmentLogLimits extends SegmentLogEvents {
  maxPendingBytes: number;
  probeMs: number;
}

interface Pending {
  resolve: (chunk: Chunk | undefined) => void;
  reject: (error: Error) => void;
}

/**
 * The write-ahead log in files of this machine, seen from the thread of its callers: it gathers
 * what is appended while the log's thread is busy with the group before, and hands it over at once.
 */
export class SegmentLog implements Log {
  readonly stream: string;
  private readonly worker: Worker;
  private readonly limits: SegmentLogLimits;
  private readonly staging = new Staging();
  private writing: Group | null = null;
  private scheduled = false;
  private waitingBytes = 0;
  private closing: Promise<void> | null = null;
  private readonly ended: Promise<unknown>;
  private failure: Fault | null = null;
  private full = false;
  private probeTimer: NodeJS.Timeout | null = null;
  private idle: (() => void) | null = null;
  private stats: Stats;
  private damagedRecords = 0;
  private calls = new Map<number, Pending>();
  private nextCall = 1;

  /** @param worker a thread that has reported `opened` with `stream` and `stats` */
  constructor(
    worker: Worker,
    opened: { stream: string; stats: Stats; damage: Damage[] },
    limits: SegmentLogLimits,
  ) {
    this.worker = worker;
    this.limits = limits;
    this.stream = opened.stream;
    this.stats = opened.stats;
    for (const damage of opened.damage) this.count(damage);
    worker.on('message', (report: Report) => this.hear(report));
    worker.on('error', (error) => this.poison(error));
    this.ended = new Promise((resolve) => worker.once('exit', resolve));
    worker.on('exit', () => {
      if (this.closing === null) this.poison(new Error('the thread of the log ended'));
    });
  }

  get durable(): number {
    return this.stats.last;
  }

  /** Bytes that were appended and are not acknowledged yet, record headers included. */
  get pendingBytes(): number {
    return this.waitingBytes;
  }

  get health(): LogHealth {
    const state = this.failure !== null ? 'failed' : this.full ? 'full' : 'ok';
    const { bytes, segments } = this.stats;
    return { state, damagedRecords: this.damagedRecords, bytes, segments };
  }

  append(payload: Payload): Promise<number> {
    const refusal = this.refusal(payload);
    if (refusal !== null) return Promise.reject(refusal);
    const group = this.staging.groupFor(payload);
    this.waitingBytes += stage(group, payload);
    this.schedule();
    return new Promise((resolve, reject) => {
      group.resolve.push(resolve);
      group.reject.push(reject);
    });
  }

  read(after: number): AsyncIterable<LogRecord> {
    return this.records({ after, upTo: this.durable, segment: 0, offset: 0 });
  }

  async release(position: number): Promise<void> {
    await this.call({ name: 'release', position });
    if (this.full) this.probe();
  }

  /**
   * Closes the segment being written if it holds records, so that a release of them frees its space
   * even while others are appended.
   */
  async rotate(): Promise<void> {
    await this.call({ name: 'rotate' });
  }

  close(): Promise<void> {
    this.closing ??= this.finish();
    return this.closing;
  }

  private async finish(): Promise<void> {
    if (this.waitingBytes > 0) {
      await new Promise<void>((resolve) => {
        this.idle = resolve;
      });
    }
    this.stopProbing();
    try {
      if (this.failure === null) await this.call({ name: 'close' });
    } finally {
      if (this.failure !== null) await this.worker.terminate();
      await this.ended;
    }
  }

  private refusal(payload: Payload): Fault | null {
    if (this.failure !== null) return this.failure;
    if (this.closing !== null) return draining();
    if (this.full) return noRoom('the log waits for space');
    if (isTooLarge(payload)) return new Fault('batch_too_large', 'too large for one log record');
    const { maxPendingBytes } = this.limits;
    // One record is let in however large it is, or it never could be.
    if (this.waitingBytes === 0 || this.waitingBytes + payload.length <= maxPendingBytes) {
      return null;
    }
    const sentence = 'too many bytes wait to be written';
    return new Fault('overloaded', sentence, {
      retryAfterS: 1,
      cause: `${this.waitingBytes} bytes`,
    });
  }

  /** At the end of this turn of the event loop, so that all requests of one turn share a group. */
  private schedule(): void {
    if (this.writing !== null || this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.dispatch();
    });
  }

  private dispatch(): void {
    if (this.writing !== null) return;
    const group = this.staging.take();
    if (group === null) return;
    this.writing = group;
    const { buffer } = group.buffer;
    const { used } = group;
    this.post({ type: 'commit', buffer, used, records: group.resolve.length }, [buffer]);
  }

  private hear(report: Report): void {
    if ('stats' in report) this.stats = report.stats;
    if (report.type === 'committed') this.acknowledge(report);
    else if (report.type === 'refused') this.refuse(report.buffer, report.reason.message);
    else if (report.type === 'probed' && report.room) this.stopProbing();
    else if (report.type === 'synced') this.synced(report.synced);
    else if (report.type === 'damaged') this.count(report.damage);
    else if (report.type === 'returned') this.settle(report);
    else if (report.type === 'failed') this.poison(new Error(report.reason.message));
  }

  private synced({ ms, records, bytes }: Synced): void {
    this.limits.onSync?.(ms, records, bytes);
  }

  private acknowledge({ buffer, first, synced }: Report & { type: 'committed' }): void {
    const group = this.takeWritten(buffer);
    this.dispatch();
    if (synced !== null) this.synced(synced);
    for (let i = 0; i < group.resolve.length; i++) group.resolve[i]?.(first + i);
    this.settled(group);
  }

  /** What waits behind a group that found no room is refused with it. */
  private refuse(buffer: ArrayBuffer, why: string): void {
    const group = this.takeWritten(buffer);
    this.full = true;
    this.probeTimer ??= setInterval(() => this.probe(), this.limits.probeMs).unref();
    this.rejectGroup(group, noRoom(why));
    this.rejectWaiting(noRoom(why));
  }

  private takeWritten(buffer: ArrayBuffer): Group {
    const group = this.writing;
    assert(group !== null, 'an answer belongs to the group being written');
    this.writing = null;
    this.staging.recycle(buffer);
    return group;
  }

  private rejectWaiting(error: Error): void {
    for (let group = this.staging.take(); group !== null; group = this.staging.take()) {
      this.rejectGroup(group, error);
    }
  }

  private rejectGroup(group: Group, error: Error): void {
    for (const reject of group.reject) reject(error);
    this.settled(group);
  }

  private settled(group: Group): void {
    this.waitingBytes -= group.used;
    if (this.waitingBytes === 0) this.idle?.();
  }

  private poison(cause: Error): void {
    if (this.failure !== null) return;
    this.failure = new Fault('log_failed', 'the write-ahead log failed', { cause });
    this.stopProbing();
    if (this.writing !== null) this.rejectGroup(this.writing, this.failure);
    this.writing = null;
    this.rejectWaiting(this.failure);
    for (const pending of this.calls.values()) pending.reject(this.failure);
    this.calls.clear();
    this.limits.onFailed?.(cause);
  }

  private probe(): void {
    if (this.full && this.failure === null) this.post({ type: 'probe' });
  }

  private stopProbing(): void {
    this.full = false;
    if (this.probeTimer !== null) clearInterval(this.probeTimer);
    this.probeTimer = null;
  }

  private count(damage: Damage): void {
    // A torn tail is what any crash may leave, and none of it was acknowledged.
    if (damage.kind !== 'torn_tail') this.damagedRecords += Math.max(1, damage.records);
    this.limits.onDamage?.(damage);
  }

  private call(call: Call): Promise<Chunk | undefined> {
    if (this.failure !== null) return Promise.reject(this.failure);
    if (this.closing !== null && call.name !== 'close') return Promise.reject(draining());
    const id = this.nextCall++;
    return new Promise((resolve, reject) => {
      this.calls.set(id, { resolve, reject });
      this.post({ type: 'call', id, call });
    });
  }

  private settle(report: Report & { type: 'returned' }): void {
    const pending = this.calls.get(report.id);
    this.calls.delete(report.id);
    if (report.reason === undefined) pending?.resolve(report.chunk);
    else pending?.reject(new Error(report.reason.message));
  }

  private post(command: Command, transfer: ArrayBuffer[] = []): void {
    this.worker.postMessage(command, transfer);
  }

  private async *records(from: Cursor): AsyncGenerator<LogRecord> {
    for (let cursor: Cursor | null = from; cursor !== null && cursor.after < cursor.upTo; ) {
      const chunk = await this.call({ name: 'read', cursor });
      assert(chunk !== undefined, 'a read is answered with a chunk');
      const bytes = Buffer.from(chunk.bytes.buffer);
      let start = 0;
      for (const [index, position] of chunk.positions.entries()) {
        const end = chunk.ends[index] ?? start;
        yield { position, payload: bytes.toString('utf8', start, end) };
        start = end;
      }
      cursor = chunk.next;
    }
  }
}

function noRoom(why: string): Fault {
  const sentence = 'no space is left for the write-ahead log';
  const hint = 'reads go on; writes are accepted again as soon as there is space';
  return new Fault('disk_full', sentence, { retryAfterS: 1, hint, cause: why });
}

function draining(): Fault {
  return new Fault('draining', 'the server is shutting down');
}
