import type { DedupIndex } from '../dedup/dedup.js';
import type { Log, LogRecord } from '../log/log.js';
import type { Deletions } from '../recent/deletions.js';
import type { Recent } from '../recent/recent.js';
import type { Answers } from './answers.js';
import { decodeEntry } from './record.js';

/**
 * Brings back what the log holds beyond the store's position, in the log's order, by the same steps
 * as a live append. Nothing is released here: a second crash during replay loses nothing.
 */
export interface ReplayParts {
  log: Log;
  dedup: DedupIndex;
  recent: Recent;
  deletions: Deletions;
  answers: Answers;
  nowUs: number;
  /** A record that no version wrote: it stays in the log's quarantine, the others go on (C6). */
  onUnreadable(position: number, payload: string, error: unknown): void;
  /** After each slice: lets a bounded buffer flush while a long log is replayed. */
  onProgress(events: number, position: number): Promise<void>;
}

const EVENTS_PER_SLICE = 2_000;

/** @returns how many events came back */
export async function replay(parts: ReplayParts, after: number): Promise<number> {
  let total = 0;
  let slice = 0;
  for await (const record of parts.log.read(after)) {
    const events = apply(parts, record);
    total += events;
    slice += events + 1;
    if (slice < EVENTS_PER_SLICE) continue;
    slice = 0;
    await parts.onProgress(total, record.position);
  }
  return total;
}

function apply(parts: ReplayParts, record: LogRecord): number {
  try {
    return applyEntry(parts, record);
  } catch (error) {
    parts.onUnreadable(record.position, record.payload, error);
    return 0;
  }
}

function applyEntry(parts: ReplayParts, { position, payload }: LogRecord): number {
  const entry = decodeEntry(payload);
  if (entry.kind === 'deletion') {
    const deletion = { ...entry.deletion, stream: parts.log.stream, position };
    parts.recent.delete(deletion, parts.nowUs, null);
    parts.deletions.add(deletion);
    return 0;
  }
  parts.recent.add(position, entry);
  if (entry.answer !== undefined) parts.answers.logged(entry.answer);
  for (const event of entry.events) {
    if (event.dedupKey === '') continue;
    const { orgId, dedupKey, id, ingestedUs } = event;
    parts.dedup.replay({ orgId, key: dedupKey, id, ingestedUs }, position);
  }
  return entry.events.length;
}
