import type { Caller } from '../auth/caller.js';
import type { Clock } from '../base/clock.js';
import { turns } from '../base/turns.js';
import type { UlidFactory } from '../base/ulid.js';
import { type DecodeContext, decodeMemory, withId } from '../event/decode.js';
import type { Event } from '../event/event.js';
import { Fault } from '../fault/fault.js';
import type { AnswerKey, Answers } from '../ingest/answers.js';
import type { Ingest, WriteOutcome } from '../ingest/ingest.js';
import type { Answer } from '../metadata/metadata.js';
import type { Recall } from '../recall/recall.js';

/** The verbs that write memories: one, a batch, or the lines of a stream. */
export interface RememberParts {
  clock: Clock;
  ulids: UlidFactory;
  ingest: Ingest;
  answers: Answers;
  recall: Recall;
  limits: DecodeContext['limits'];
  dedup: DecodeContext['dedup'];
}

/** A stored memory in an answer; `deleted`: it is gone by now (only in a repeated answer). */
export interface Remembered {
  event: Event;
  deleted: boolean;
  /** JSON.stringify(event.content), if it was made on the way. */
  content?: string;
}

export interface RememberedBatch {
  memories: Remembered[];
  duplicates: number;
  /** The events that were left out, each with the id of the first one. */
  skipped: { index: number; id: string }[];
}

/** What is kept for an Idempotency-Key: with the same body bytes it yields the same answer. */
interface KeptAnswer {
  ingestedUs: number;
  /** By index: the id that the event got, or null for a duplicate. */
  ids: (string | null)[];
  /** By index: the first event's id for a duplicate, or null. */
  firstIds: (string | null)[];
}

/** Items that are decoded before the event loop is let go, about 2 ms. */
const ITEMS_PER_SLICE = 250;

export class Remember {
  private readonly parts: RememberParts;

  constructor(parts: RememberParts) {
    this.parts = parts;
  }

  /** Stores one memory. Rejects with `duplicate_memory`, naming the first one. */
  async one(caller: Caller, raw: unknown, key?: AnswerKey): Promise<Remembered> {
    if (key === undefined) {
      const event = this.identify(decodeMemory(raw, this.contextOf(caller)));
      const content = JSON.stringify(event.content);
      const firstId = await this.parts.ingest.writeOne(event, content);
      if (firstId !== null) throw duplicate(firstId);
      return { event, deleted: false, content };
    }
    const batch = await this.answered(caller, [raw], false, key);
    const first = batch.skipped[0];
    if (first !== undefined) throw duplicate(first.id);
    return batch.memories[0];
  }

  /** Stores a checked batch, all or none of what is new. Takes `raws` over. */
  batch(caller: Caller, raws: unknown[], key?: AnswerKey): Promise<RememberedBatch> {
    return this.answered(caller, raws, true, key);
  }

  /** Decodes one line of a stream. Throws Fault invalid_field. */
  decode(raw: unknown, context: DecodeContext): Event {
    return this.identify(decodeMemory(raw, context));
  }

  /** Stores decoded lines; how many were new and how many were known. */
  async lines(events: readonly Event[]): Promise<WriteOutcome> {
    return this.parts.ingest.write(events);
  }

  /** What decoding of this caller's memories depends on, at this moment. */
  contextOf(caller: Caller): DecodeContext {
    const { limits, dedup, clock } = this.parts;
    const { orgId, floorUs } = caller;
    return { orgId, nowUs: clock.nowUs(), floorUs, limits, dedup };
  }

  private async answered(
    caller: Caller,
    raws: unknown[],
    inList: boolean,
    key: AnswerKey | undefined,
  ): Promise<RememberedBatch> {
    const context = this.contextOf(caller);
    if (key === undefined) return this.store(await this.decodeAll(raws, context, inList));
    const claim = await this.parts.answers.claim(key, context.nowUs);
    if (claim.kind === 'known') return this.repeat(caller, raws, inList, claim.answer);
    let kept: Answer | null = null;
    try {
      const events = await this.decodeAll(raws, context, inList);
      return await this.store(events, (outcome) => {
        // A single duplicate is an error, and errors are not kept.
        if (!inList && outcome.duplicates > 0) return null;
        kept = answerOf(key, events, outcome, context.nowUs);
        return kept;
      });
    } catch (error) {
      kept = null;
      throw error;
    } finally {
      claim.end(kept);
    }
  }

  private async store(
    events: readonly Event[],
    answerOf?: (outcome: WriteOutcome) => Answer | null,
  ): Promise<RememberedBatch> {
    // Escaped once, for the log and for the answer.
    const contents = events.map(({ content }) => JSON.stringify(content));
    const outcome = await this.parts.ingest.write(events, { contents, answerOf });
    const batch: RememberedBatch = { memories: [], duplicates: outcome.duplicates, skipped: [] };
    for (let i = 0; i < events.length; i++) {
      const firstId = outcome.firstIds[i];
      const content = contents[i];
      if (firstId === null) batch.memories.push({ event: events[i], deleted: false, content });
      else batch.skipped.push({ index: i, id: firstId });
    }
    return batch;
  }

  /** The first answer again, made of the same body and the ids that were kept. */
  private async repeat(
    caller: Caller,
    raws: readonly unknown[],
    inList: boolean,
    answer: Answer,
  ): Promise<RememberedBatch> {
    const kept = JSON.parse(answer.answer) as KeptAnswer;
    // The clock and the floor of then: what was valid must not fail now.
    const context = { ...this.contextOf(caller), nowUs: kept.ingestedUs, floorUs: null };
    const ids = kept.ids.filter((id) => id !== null);
    const alive = await this.alive(caller, ids);
    const batch: RememberedBatch = { memories: [], duplicates: 0, skipped: [] };
    raws.forEach((raw, index) => {
      const id = kept.ids[index];
      const firstId = kept.firstIds[index];
      if (firstId !== null) batch.skipped.push({ index, id: firstId });
      if (id === null) return;
      const draft = decodeMemory(raw, context, inList ? `memories[${index}]` : '');
      batch.memories.push({ event: withId(draft, id), deleted: !alive.has(id) });
    });
    batch.duplicates = batch.skipped.length;
    return batch;
  }

  private async alive(caller: Caller, ids: readonly string[]): Promise<Set<string>> {
    if (ids.length === 0) return new Set();
    const { orgId, floorUs } = caller;
    const query = { filter: { ids }, order: 'asc', limit: ids.length } as const;
    const page = await this.parts.recall.page({ orgId, floorUs, kind: 'other' }, query);
    return new Set(page.events.map(({ id }) => id));
  }

  /**
   * Checks all before anything is written; lets the event loop go between slices. Empties `raws` as
   * it goes: what was parsed need not outlive the wait for the disk.
   */
  private async decodeAll(
    raws: unknown[],
    context: DecodeContext,
    inList: boolean,
  ): Promise<Event[]> {
    const events: Event[] = [];
    for (let i = 0; i < raws.length; i++) {
      const draft = decodeMemory(raws[i], context, inList ? `memories[${i}]` : '');
      events.push(this.identify(draft));
      raws[i] = undefined;
      if ((i + 1) % ITEMS_PER_SLICE === 0) await turns.next();
    }
    return events;
  }

  private identify(draft: ReturnType<typeof decodeMemory>): Event {
    return withId(draft, `mem_${this.parts.ulids.next(Math.floor(draft.timeUs / 1000))}`);
  }
}

function answerOf(
  key: AnswerKey,
  events: readonly Event[],
  outcome: WriteOutcome,
  nowUs: number,
): Answer {
  const kept: KeptAnswer = {
    ingestedUs: nowUs,
    ids: events.map(({ id }, i) => (outcome.firstIds[i] === null ? id : null)),
    firstIds: outcome.firstIds,
  };
  return { ...key, createdUs: nowUs, answer: JSON.stringify(kept) };
}

function duplicate(id: string): Fault {
  return new Fault('duplicate_memory', 'duplicate memory', {
    hint: 'an equal memory was stored within the deduplication window; see id',
    extra: { id },
  });
}
