import type { Clock } from '../base/clock.js';
import type { DedupEntry, DedupHolder, DedupIndex } from '../dedup/dedup.js';
import type { Event } from '../event/event.js';
import type { Escaped } from '../event/rowlines.js';
import { Fault } from '../fault/fault.js';
import type { Log } from '../log/log.js';
import type { Answer, Deletion } from '../metadata/metadata.js';
import type { Deletions } from '../recent/deletions.js';
import type { Recent } from '../recent/recent.js';
import type { Answers } from './answers.js';
import { encodeDeletion, encodeEvents } from './record.js';

/**
 * The way in: dedup reserve → log → recent → acknowledge.
 *
 * Everything that follows a durable append happens in one synchronous step per record, directly on
 * the log's promise, so that it happens in the order of positions: a deletion meets every row that
 * the log accepted before it.
 */
export interface IngestParts {
  clock: Clock;
  log: Log;
  dedup: DedupIndex;
  recent: Recent;
  deletions: Deletions;
  answers: Answers;
  /** Whether the event of a duplicate's holder can still be read (not deleted, not expired). */
  exists(orgId: string, holder: DedupHolder): Promise<boolean>;
  /** Rows and bytes in the buffer beyond which writers wait, then are refused. */
  maxBufferedRows: number;
  maxBufferedBytes: number;
  onDuplicates(count: number): void;
  onWrites(count: number): void;
  /** A generation may be due for the flush. */
  onAppended(): void;
}

export interface WriteOptions {
  contents?: readonly string[];
  answerOf?: (outcome: WriteOutcome) => Answer | null;
  /** Events ingested up to then claim no key: for rows older than the deduplication window. */
  claimedAfterUs?: number;
}

export interface WriteOutcome {
  /** At i: null if event i was stored, or the id of the first event with its key. */
  firstIds: (string | null)[];
  stored: number;
  duplicates: number;
}

/** How long a writer waits for a full buffer before it is refused. */
const ROOM_WAIT_MS = 2_000;
const ROOM_LOOK_MS = 20;

const NONE = () => null;

export class Ingest {
  private readonly parts: IngestParts;

  constructor(parts: IngestParts) {
    this.parts = parts;
  }

  /**
   * Stores the events of one request, all or none; resolves once they are durable and readable.
   * Events whose key was seen are left out and named.
   *
   * @param options.contents JSON.stringify(content) of each event, if the caller has it
   * @param options.answerOf what to keep for an Idempotency-Key, made once the outcome is known
   */
  async write(
    events: readonly Event[],
    { contents, answerOf, claimedAfterUs = Number.NEGATIVE_INFINITY }: WriteOptions = {},
  ): Promise<WriteOutcome> {
    await this.room();
    const claims = await this.claim(events, claimedAfterUs);
    const fresh: Escaped[] = [];
    for (let i = 0; i < events.length; i++) {
      const event = events[i];
      if (claims.firstIds[i] !== null) continue;
      fresh.push({ event, content: contents?.[i] ?? JSON.stringify(event.content) });
    }
    const duplicates = events.length - fresh.length;
    const outcome = { firstIds: claims.firstIds, stored: fresh.length, duplicates };
    if (duplicates > 0) this.parts.onDuplicates(duplicates);
    const answer = answerOf?.(outcome) ?? undefined;
    // Nothing new and nothing to remember: there is nothing to log.
    if (fresh.length === 0 && answer === undefined) return outcome;
    await this.append(fresh, claims.open, answer);
    return outcome;
  }

  /**
   * Stores one event; resolves with null, or with the id of the first event of its key. The usual
   * case (room, a fresh key that memory can tell) takes one promise.
   *
   * @param content JSON.stringify(event.content), which the answer needs too
   */
  writeOne(event: Event, content: string): Promise<string | null> {
    const { orgId, dedupKey, id, ingestedUs } = event;
    if (dedupKey !== '' && this.hasRoom()) {
      const entries = [{ orgId, key: dedupKey, id, ingestedUs }];
      const holders = this.parts.dedup.tryReserve(entries, this.parts.clock.nowUs());
      if (holders !== null && holders[0] === null) {
        return this.append([{ event, content }], entries).then(NONE);
      }
    }
    return this.write([event]).then(({ firstIds }) => firstIds[0]);
  }

  /**
   * Logs a deletion and hides what it covers, in the very step in which it becomes durable. The
   * caller must call `release` of the answer.
   */
  async delete(
    deletion: Omit<Deletion, 'stream' | 'position'>,
    floorUs: number | null,
  ): Promise<DeletionTaken> {
    const { log, recent, deletions, clock } = this.parts;
    return log.append(encodeDeletion(deletion)).then((position) => {
      const before = deletions.forOrg(deletion.orgId);
      const whole: Deletion = { ...deletion, stream: log.stream, position };
      const taken = recent.delete(whole, clock.nowUs(), floorUs);
      const flushedThrough = recent.flushedThrough;
      const release = deletions.hold(flushedThrough);
      deletions.add(whole);
      this.parts.onAppended();
      return { deletion: whole, before, taken, flushedThrough, release };
    });
  }

  private append(
    rows: readonly Escaped[],
    open: readonly DedupEntry[],
    answer?: Answer,
  ): Promise<void> {
    const { log, dedup, recent, answers } = this.parts;
    const { payload, lines } = encodeEvents(rows, answer);
    const events = rows.map(({ event }) => event);
    return log.append(payload).then(
      (position) => {
        recent.add(position, { events, lines, answer });
        if (open.length > 0) dedup.settle(open, position);
        if (answer !== undefined) answers.logged(answer);
        this.parts.onWrites(events.length);
        this.parts.onAppended();
      },
      (error: unknown) => {
        dedup.abandon(open);
        throw error;
      },
    );
  }

  /** Claims the keys of the events; a holder that is not durable yet is waited for. */
  private async claim(
    events: readonly Event[],
    claimedAfterUs: number,
  ): Promise<{ firstIds: (string | null)[]; open: DedupEntry[] }> {
    const entries: DedupEntry[] = [];
    const indexes: number[] = [];
    for (let i = 0; i < events.length; i++) {
      const { orgId, dedupKey, id, ingestedUs } = events[i];
      if (dedupKey === '' || ingestedUs <= claimedAfterUs) continue;
      entries.push({ orgId, key: dedupKey, id, ingestedUs });
      indexes.push(i);
    }
    const firstIds: (string | null)[] = new Array(events.length).fill(null);
    if (entries.length === 0) return { firstIds, open: entries };
    for (;;) {
      const holders = await this.parts.dedup.reserve(entries, this.parts.clock.nowUs());
      const open = entries.filter((_, i) => holders[i] === null);
      if (await this.allHold(entries, open, holders)) {
        holders.forEach((holder, i) => {
          firstIds[indexes[i]] = holder === null ? null : holder.id;
        });
        return { firstIds, open };
      }
    }
  }

  /**
   * True if every holder really is first. Otherwise the open claims are given up before anything
   * is waited for (so that two requests can never wait for each other) and false says: try again.
   */
  private async allHold(
    entries: readonly DedupEntry[],
    open: readonly DedupEntry[],
    holders: readonly (DedupHolder | null)[],
  ): Promise<boolean> {
    if (open.length === entries.length) return true;
    const mine = new Set(open.map(({ id }) => id));
    const others = holders.flatMap((holder, i) =>
      holder === null || mine.has(holder.id) ? [] : [{ holder, entry: entries[i] }],
    );
    const pending = others.flatMap(({ holder }) => holder.settled ?? []);
    if (pending.length > 0) {
      this.parts.dedup.abandon(open);
      await Promise.all(pending);
      return false;
    }
    try {
      const gone = await this.vanished(others);
      if (gone.length === 0) return true;
      this.parts.dedup.abandon(open);
      for (const { entry, holder } of gone) this.parts.dedup.free(entry, holder.id);
      return false;
    } catch (error) {
      this.parts.dedup.abandon(open);
      throw error;
    }
  }

  private async vanished(
    others: { holder: DedupHolder; entry: DedupEntry }[],
  ): Promise<{ holder: DedupHolder; entry: DedupEntry }[]> {
    const gone: { holder: DedupHolder; entry: DedupEntry }[] = [];
    for (const other of others) {
      if (!(await this.parts.exists(other.entry.orgId, other.holder))) gone.push(other);
    }
    return gone;
  }

  /**
   * Waits while the buffer is over its bound: a slow store slows writers, it never grows memory.
   */
  private async room(): Promise<void> {
    if (this.hasRoom()) return;
    const deadline = this.parts.clock.monoMs() + ROOM_WAIT_MS;
    while (this.parts.clock.monoMs() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, ROOM_LOOK_MS));
      if (this.hasRoom()) return;
    }
    throw new Fault('overloaded', 'the write buffer is full', { retryAfterS: 1 });
  }

  private hasRoom(): boolean {
    const { recent, maxBufferedRows, maxBufferedBytes } = this.parts;
    return recent.rows < maxBufferedRows && recent.bytes < maxBufferedBytes;
  }
}

export interface DeletionTaken {
  deletion: Deletion;
  /** The organization's deletions before this one. */
  before: readonly Deletion[];
  /** Visible rows that it took from the recent ones. */
  taken: number;
  /** Rows up to this position had left for the store. */
  flushedThrough: number;
  /** To be called once nobody counts any more what it took; until then files stay apart there. */
  release(): void;
}
