/**
 * A session as markdown for a prompt: the part that runs on the event loop.
 *
 * It only picks what the worker needs and cuts texts that could not be shown anyway, so that the
 * work, and the bytes that cross over to the thread, follow max_tokens and not what is stored.
 */
import type { Event } from '../../event/event.js';
import type { TokenCounter } from './counter.js';
import type { Group, JobEntry, RenderedContext } from './job.js';

/**
 * Prose has 4 to 5 chars a token, so a context is given at most this many: only rows of very long
 * tokens (-----) are shortened by it where they need not be.
 */
const UNITS_PER_TOKEN = 8;
/** The tokenizer reads 2 to 10 million chars a second, and one request shall not take it longer. */
const MAX_UNITS = 1_000_000;
const MIN_TEXT_UNITS = 256;

export interface ContextRequest {
  sessionId: string;
  /** The newest `max_memories` that match, newest first. */
  events: readonly Event[];
  /** How many match in the window in all. */
  matching: number;
  maxTokens: number;
  counter: TokenCounter;
}

/**
 * Renders the context of POST /sessions/:id/context, at most `maxTokens` tokens of o200k_base.
 *
 * Fails with Fault `internal` if the worker does.
 */
export function renderContext(request: ContextRequest): Promise<RenderedContext> {
  const { sessionId, events, matching, maxTokens, counter } = request;
  const lengths = events.flatMap((event) => [event.content.length, reasoningSource(event).length]);
  const textUnits = textLimit(lengths, Math.min(UNITS_PER_TOKEN * maxTokens, MAX_UNITS));
  const entries = events.map((event) => entryOf(event, textUnits));
  return counter.fit({ sessionId, entries, matching, maxTokens, textUnits });
}

function entryOf(event: Event, textUnits: number): JobEntry {
  return {
    group: groupOf(event),
    timeUs: event.timeUs,
    eventType: event.eventType,
    importance: event.importance,
    content: event.content.slice(0, textUnits),
    clipped: event.content.length > textUnits,
    metadataJson: reasoningSource(event),
  };
}

function reasoningSource(event: Event): string {
  return groupOf(event) === 'Decisions Made' ? event.metadataJson : '';
}

function groupOf(event: Event): Group {
  if (event.eventType === 'error') return 'Errors';
  if (event.memoryType === 'episodic') return 'Recent Actions';
  return event.memoryType === 'decision' ? 'Decisions Made' : 'Other';
}

/** The greatest length that, as a limit for each text, keeps all together within `total`. */
function textLimit(lengths: readonly number[], total: number): number {
  let left = total;
  for (const [i, length] of lengths.toSorted((a, b) => a - b).entries()) {
    const share = Math.floor(left / (lengths.length - i));
    if (length > share) return Math.max(share, MIN_TEXT_UNITS);
    left -= length;
  }
  return Math.max(left, MIN_TEXT_UNITS);
}
