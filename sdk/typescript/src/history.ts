import { byteLength } from './batch.js';
import type { Memtrace } from './client.js';
import { wellFormed } from './error-memory.js';
import type { Memory, MemoryInput } from './types.js';

/** An item of a framework's conversation. */
export interface HistoryItem {
  /** Any JSON value: it comes back as it was, whatever its size and depth. */
  value: unknown;
  /** What people, searches and contexts read. */
  text: string;
  /** Letters, digits and underscores; others are replaced. */
  eventType: string;
}

/** Items have this tag, and the pieces of large ones the other. */
const ITEM_TAG = 'history';
const PIECE_TAG = 'history_piece';
/** Of the JSON text in a memory's metadata, which holds 16 KiB and escapes the text once more. */
const INLINE_BYTES = 14 * 1024;
/** Of a piece, in characters: escaped, at most 14 KiB even if each one takes two bytes or more. */
const PIECE_CHARACTERS = 4_000;
const BATCH_ITEMS = 500;
const BATCH_BYTES = 4 * 1024 * 1024;
const TEXT_CHARACTERS = 16_000;
const PAGE = 1_000;

/**
 * A conversation of any framework as memories of one session: in order, each item once, over
 * restarts of both sides. Equal items are both kept: each has a dedup_key of its own.
 */
export class History {
  private readonly client: Memtrace;
  private readonly sessionId: string;
  private readonly agentId: string;

  constructor(client: Memtrace, sessionId: string, agentId: string) {
    this.client = client;
    this.sessionId = sessionId;
    this.agentId = agentId;
  }

  /** Up to 500 memories and 4 MiB are stored all or none. */
  async append(items: readonly HistoryItem[]): Promise<void> {
    let batch: MemoryInput[] = [];
    let bytes = 0;
    for (const item of items) {
      const memories = this.memoriesOf(item);
      const size = byteLength(JSON.stringify(memories));
      const full = batch.length + memories.length > BATCH_ITEMS || bytes + size > BATCH_BYTES;
      if (batch.length > 0 && full) {
        await this.client.memories.addMany(batch);
        batch = [];
        bytes = 0;
      }
      batch.push(...memories);
      bytes += size;
    }
    if (batch.length > 0) await this.client.memories.addMany(batch);
  }

  /** The newest `limit` items, or all, the oldest first. */
  async read(limit = Number.POSITIVE_INFINITY): Promise<unknown[]> {
    const newest = await this.newest(limit);
    return Promise.all(newest.reverse().map((memory) => this.valueOf(memory)));
  }

  /** Removes the newest item and returns it; undefined if there is none. */
  async pop(): Promise<unknown> {
    const [memory] = await this.newest(1);
    if (memory === undefined) return undefined;
    const value = await this.valueOf(memory);
    await this.client.memories.delete(memory.id);
    const id = piecesOf(memory);
    if (id !== undefined) {
      const filter = { session_id: this.sessionId, parent_id: id, tags: PIECE_TAG };
      await this.client.memories.deleteWhere(filter);
    }
    return value;
  }

  /** Erases the items; other memories of the session stay. */
  async clear(): Promise<void> {
    for (const tags of [ITEM_TAG, PIECE_TAG]) {
      await this.client.memories.deleteWhere({ session_id: this.sessionId, tags });
    }
  }

  private newest(limit: number): Promise<Memory[]> {
    const page = Math.max(1, Math.min(limit, PAGE));
    const list = { tags: ITEM_TAG, order: 'desc', limit: page } as const;
    return this.client.sessions.memories(this.sessionId, list).toArray(limit);
  }

  private memoriesOf(item: HistoryItem): MemoryInput[] {
    const json = JSON.stringify(item.value);
    const id = crypto.randomUUID();
    const base = { agent_id: this.agentId, session_id: this.sessionId } as const;
    const memory: MemoryInput = {
      ...base,
      memory_type: 'session',
      event_type: item.eventType.replace(/\W/g, '_').slice(0, 64),
      content: wellFormed(item.text.slice(0, TEXT_CHARACTERS)) || '(empty)',
      dedup_key: id,
      tags: [ITEM_TAG],
      metadata: { item: json },
    };
    if (byteLength(JSON.stringify(json)) <= INLINE_BYTES) return [memory];
    const pieces = cut(json);
    const rest = pieces.map((piece, i): MemoryInput => {
      return {
        ...base,
        memory_type: 'session',
        event_type: 'history_piece',
        content: `piece ${i + 1} of ${pieces.length} of a long item`,
        dedup_key: `${id}:${i}`,
        parent_id: id,
        tags: [PIECE_TAG],
        metadata: { piece },
      };
    });
    return [...rest, { ...memory, metadata: { pieces: id } }];
  }

  private async valueOf(memory: Memory): Promise<unknown> {
    const id = piecesOf(memory);
    if (id === undefined) return JSON.parse(String(memory.metadata?.['item']));
    const list = { parent_id: id, tags: PIECE_TAG, order: 'asc', limit: PAGE } as const;
    const pieces = await this.client.sessions.memories(this.sessionId, list).toArray();
    return JSON.parse(pieces.map((piece) => String(piece.metadata?.['piece'])).join(''));
  }
}

function piecesOf(memory: Memory): string | undefined {
  const id = memory.metadata?.['pieces'];
  return typeof id === 'string' ? id : undefined;
}

/** Never through a surrogate pair: half of one is not text. */
function cut(text: string): string[] {
  const pieces: string[] = [];
  for (let start = 0; start < text.length; ) {
    let end = Math.min(start + PIECE_CHARACTERS, text.length);
    const last = text.charCodeAt(end - 1);
    if (end < text.length && last >= 0xd800 && last <= 0xdbff) end -= 1;
    pieces.push(text.slice(start, end));
    start = end;
  }
  return pieces;
}
