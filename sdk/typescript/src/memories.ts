import { InvalidRequestError } from './errors.js';
import { Pages } from './pages.js';
import { exportLines, uploadLines } from './stream.js';
import type { Query, RequestOptions, Transport } from './transport.js';
import type {
  Deletion,
  Erased,
  ListOptions,
  Memory,
  MemoryBatch,
  MemoryFilter,
  MemoryInput,
  MemoryList,
  MemoryStream,
  SearchInput,
  SearchResult,
} from './types.js';

export const MEMORIES = '/api/v1/memories';

/** Where a list of memories is, with its filters. */
export function memoryPages(
  transport: Transport,
  path: string,
  list: ListOptions,
  options: RequestOptions,
): Pages<Memory, MemoryList> {
  const fetchPage = (cursor: string | undefined) => {
    // A cursor does not go with an offset, which was skipped before the first page.
    const query = cursor === undefined ? list : { ...list, offset: undefined, cursor };
    return transport.json<MemoryList>(
      { method: 'GET', path, query: query as Query, repeat: 'safe' },
      options,
    );
  };
  return new Pages(fetchPage, (page) => page.memories);
}

/** Memories: what agents did, said, decided and met. */
export class Memories {
  private readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  /** Stores one. An equal one within the window throws a ConflictError (`duplicate_memory`). */
  add(memory: MemoryInput, options?: RequestOptions): Promise<Memory> {
    const call = { method: 'POST', path: MEMORIES, body: memory, repeat: 'keyed' } as const;
    return this.transport.json(call, options);
  }

  /** Stores up to 1,000, all or none. Duplicates are left out and counted. */
  addMany(memories: readonly MemoryInput[], options?: RequestOptions): Promise<MemoryBatch> {
    const body = { memories };
    return this.transport.json({ method: 'POST', path: MEMORIES, body, repeat: 'keyed' }, options);
  }

  /**
   * Stores any number, streamed: memory stays flat on both sides. It is never sent twice; when it
   * fails, a part of it may be stored. The batcher is for what must arrive exactly once.
   */
  upload(
    memories: Iterable<MemoryInput> | AsyncIterable<MemoryInput>,
    options: RequestOptions = {},
  ): Promise<MemoryStream> {
    return uploadLines(this.transport, memories, options);
  }

  /** The newest first, unless told otherwise. */
  list(list: ListOptions = {}, options: RequestOptions = {}): Pages<Memory, MemoryList> {
    return memoryPages(this.transport, MEMORIES, list, options);
  }

  get(id: string, options?: RequestOptions): Promise<Memory> {
    const path = `${MEMORIES}/${encodeURIComponent(id)}`;
    return this.transport.json({ method: 'GET', path, repeat: 'safe' }, options);
  }

  search(search: SearchInput = {}, options: RequestOptions = {}): Pages<Memory, SearchResult> {
    const fetchPage = (cursor: string | undefined) => {
      const body = cursor === undefined ? search : { ...search, cursor };
      const call = { method: 'POST', path: '/api/v1/search', body, repeat: 'safe' } as const;
      return this.transport.json<SearchResult>(call, options);
    };
    return new Pages(fetchPage, (page) => page.results);
  }

  /** The oldest first, the whole history, streamed. */
  export(
    filter: MemoryFilter = {},
    options: RequestOptions = {},
  ): AsyncGenerator<Memory, { count: number; incomplete: boolean }, undefined> {
    const query = filter as Query;
    const call = { method: 'GET', path: '/api/v1/export', query, repeat: 'safe' } as const;
    return exportLines(this.transport, call, options);
  }

  /** Erases one. */
  async delete(id: string, options?: RequestOptions): Promise<Erased> {
    const path = `${MEMORIES}/${encodeURIComponent(id)}`;
    return erase(this.transport, path, {}, options);
  }

  /**
   * Erases all that match. At least one condition is needed, and none may be undefined: a variable
   * that is not set must never erase more than was meant.
   */
  async deleteWhere(filter: MemoryFilter, options?: RequestOptions): Promise<Deletion> {
    for (const [name, value] of Object.entries(filter)) {
      if (value !== undefined && value !== null) continue;
      throw new InvalidRequestError(`${name} is ${value}`, { code: 'invalid_field', field: name });
    }
    const query = filter as Query;
    const call = { method: 'DELETE', path: MEMORIES, query, repeat: 'safe' } as const;
    return this.transport.json(call, options);
  }
}

/** DELETE of one thing; the id of the erasure that it began, if memories went with it. */
export async function erase(
  transport: Transport,
  path: string,
  query: Query,
  options?: RequestOptions,
): Promise<Erased> {
  const call = { method: 'DELETE', path, query, repeat: 'safe' } as const;
  const { headers } = await transport.send(call, options);
  const id = headers.get('x-erasure-id');
  return id === null ? {} : { erasure_id: id };
}
