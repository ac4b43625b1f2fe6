import { Fault } from '../../fault/fault.js';
import { type Database, DatabaseError } from './database.js';
import { encodeError } from './faults.js';
import type { Operation } from './operation.js';
import type { Reply } from './wire.js';

export interface Call {
  id: number;
  operation: Operation<unknown[], unknown>;
  args: unknown[];
  /** Monotonic ms after which a lock held elsewhere is no longer waited for. */
  deadlineMs: number;
}

export interface SchedulerOptions {
  db: Database;
  /** Answers of one round together. */
  reply: (replies: Reply[]) => void;
  monoMs: () => number;
  /** Runs `task` after `ms`, behind what has arrived meanwhile. */
  later: (task: () => void, ms: number) => void;
}

/** A round serves reads for at most so long, then a group of writes. */
const READ_MS = 10;
/** Writes join a group for so long: a read waits at most for this and one commit. */
const GROUP_MS = 10;
/** Between tries while another process holds the write lock; reads are served meanwhile. */
const BUSY_RETRY_MS = 5;

/**
 * Decides what runs when on the one connection: reads at once, writes in groups that share one
 * transaction and so one fsync. Each write has a savepoint: it fails alone or with its group.
 */
export class Scheduler {
  private reads: Call[] = [];
  private writes: Call[] = [];
  private replies: Reply[] = [];
  private planned = false;
  /** Another process holds the write lock: writes wait for the next try. */
  private locked = false;
  private readonly options: SchedulerOptions;

  constructor(options: SchedulerOptions) {
    this.options = options;
  }

  submit(calls: readonly Call[]): void {
    for (const call of calls) {
      (call.operation.kind === 'read' ? this.reads : this.writes).push(call);
    }
    this.plan();
  }

  get idle(): boolean {
    return this.reads.length + this.writes.length === 0;
  }

  private plan(): void {
    if (this.planned) return;
    this.planned = true;
    this.options.later(() => this.round(), 0);
  }

  private round(): void {
    this.planned = false;
    this.serveReads();
    this.post();
    if (this.writes.length > 0 && !this.locked) this.commitGroup();
    this.post();
    if (this.reads.length > 0 || (this.writes.length > 0 && !this.locked)) this.plan();
  }

  private retryLater(): void {
    this.locked = true;
    this.options.later(() => {
      this.locked = false;
      this.plan();
    }, BUSY_RETRY_MS);
  }

  private post(): void {
    if (this.replies.length === 0) return;
    this.options.reply(this.replies);
    this.replies = [];
  }

  private serveReads(): void {
    const end = this.options.monoMs() + READ_MS;
    const calls = this.reads;
    this.reads = [];
    const late: Call[] = [];
    for (const call of calls) {
      if (this.options.monoMs() >= end) late.push(call);
      else this.serveRead(call);
    }
    this.reads.push(...late);
  }

  private serveRead(call: Call): void {
    try {
      this.replies.push([call.id, call.operation.run(...call.args)]);
    } catch (error) {
      if (this.mayWait(call, error)) this.reads.push(call);
      else this.replies.push([call.id, undefined, encodeError(error)]);
    }
  }

  private mayWait(call: Call, error: unknown): boolean {
    const busy = error instanceof DatabaseError && error.busy;
    return busy && this.options.monoMs() < call.deadlineMs;
  }

  private commitGroup(): void {
    const { db } = this.options;
    try {
      db.begin();
    } catch (error) {
      this.dismiss(error);
      return;
    }
    const group: Call[] = [];
    const replies: Reply[] = [];
    try {
      const end = this.options.monoMs() + GROUP_MS;
      for (const call of this.writes) {
        group.push(call);
        replies.push(this.attempt(call));
        if (this.options.monoMs() >= end) break;
      }
      db.commit();
      this.replies.push(...replies);
    } catch (error) {
      this.failGroup(group, error);
    }
    this.writes = this.writes.slice(group.length);
  }

  /** The answer that counts once the group is committed. Throws if the whole group is lost. */
  private attempt(call: Call): Reply {
    const { db } = this.options;
    try {
      return [call.id, db.savepoint(() => call.operation.run(...call.args))];
    } catch (error) {
      // On a full disk and some I/O errors SQLite rolls everything back by itself.
      if (!db.inTransaction) throw error;
      return [call.id, undefined, encodeError(error)];
    }
  }

  private failGroup(group: readonly Call[], error: unknown): void {
    this.options.db.rollback();
    const failed = encodeError(error);
    for (const call of group) this.replies.push([call.id, undefined, failed]);
  }

  /** No transaction began: those whose patience is over fail, or all if waiting cannot help. */
  private dismiss(error: unknown): void {
    const failed = encodeError(error);
    const calls = this.writes;
    this.writes = [];
    for (const call of calls) {
      if (this.mayWait(call, error)) this.writes.push(call);
      else this.replies.push([call.id, undefined, failed]);
    }
    if (this.writes.length > 0) this.retryLater();
  }
}

/** The answer to a call that nobody knows: the two threads were built from different sources. */
export function unknownOperation(noun: string, verb: string): Fault {
  return new Fault('internal', `unknown metadata operation ${noun}.${verb}`);
}
