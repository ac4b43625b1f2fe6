import type { Api } from './api.js';

/** A memory as a client sends it. */
export interface NewMemory {
  agent_id: string;
  content: string;
  session_id?: string;
  memory_type?: string;
  event_type?: string;
  time?: string;
  metadata?: Record<string, unknown>;
  tags?: string[];
  importance?: number;
  dedup_key?: string;
  parent_id?: string;
  ttl?: string;
  expires_at?: string;
}

/** A memory as the server answers it. */
export interface Memory extends Omit<NewMemory, 'ttl'> {
  id: string;
  time: string;
  ingested_at: string;
  org_id: string;
  memory_type: string;
  event_type: string;
  importance: number;
  dedup_key: string;
}

export interface Page {
  memories: Memory[];
  count: number;
  has_more: boolean;
  next_cursor?: string;
}

/**
 * Every page of GET /memories to its end, following cursors. `query` is without `?` and without a
 * cursor. Throws on an answer other than 200 and on a page that contradicts itself.
 */
export async function walk(client: Api, query: string): Promise<Memory[]> {
  const rows: Memory[] = [];
  let cursor = '';
  for (;;) {
    const more = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const { status, body } = await client.get<Page>(`/memories?${query}${more}`);
    if (status !== 200) throw new Error(`GET /memories?${query}: ${status} ${text(body)}`);
    if (body.count !== body.memories.length) throw new Error(`count ${body.count} is not the rows`);
    for (const row of body.memories) rows.push(row);
    if (!body.has_more) return rows;
    if (body.next_cursor === undefined) throw new Error('has_more without next_cursor');
    if (body.count === 0) throw new Error('an empty page with has_more');
    cursor = body.next_cursor;
  }
}

function text(body: unknown): string {
  return JSON.stringify(body).slice(0, 500);
}
