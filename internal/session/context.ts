import type { Caller } from '../auth/caller.js';
import type { ContextInput } from '../event/requests.js';
import type { Reader, Recall } from '../recall/recall.js';
import { bothIncomplete } from '../store/incomplete.js';
import type { Incomplete } from '../store/store.js';
import type { TokenCounter } from './context/counter.js';
import { renderContext } from './context/render.js';
import type { Sessions } from './sessions.js';

/** What a client asked of POST /sessions/:id/context. */
export interface ContextRequest extends ContextInput {
  sessionId: string;
}

export interface ContextView {
  sessionId: string;
  registered: boolean;
  context: string;
  memoryCount: number;
  tokenCount: number;
  truncated: boolean;
  omittedCount: number;
  incomplete?: Incomplete;
}

/** A session as markdown for a prompt. An unknown session is an empty one, and says so. */
export class SessionContext {
  private readonly recall: Recall;
  private readonly sessions: Sessions;
  private readonly counter: TokenCounter;

  constructor(recall: Recall, sessions: Sessions, counter: TokenCounter) {
    this.recall = recall;
    this.sessions = sessions;
    this.counter = counter;
  }

  async render(
    caller: Caller,
    request: ContextRequest,
    signal?: AbortSignal,
  ): Promise<ContextView> {
    const { sessionId, sinceUs, untilUs, includeTypes, maxMemories } = request;
    const filter = { sessionId, sinceUs, untilUs, memoryTypes: includeTypes };
    const { orgId, floorUs } = caller;
    const reader: Reader = { orgId, floorUs, kind: 'context', signal };
    const [registered, page] = await Promise.all([
      this.sessions.isRegistered(caller, sessionId),
      this.recall.page(reader, { filter, order: 'desc', limit: maxMemories, fields: 'context' }),
    ]);
    const { events } = page;
    // Counting all is only worth a query where the page does not already hold them all.
    const counted = page.hasMore ? await this.recall.stats(reader, filter) : null;
    const matching = Math.max(counted?.count ?? 0, events.length + (page.hasMore ? 1 : 0));
    const { counter } = this;
    const { maxTokens } = request;
    const rendered = await renderContext({ sessionId, events, matching, maxTokens, counter });
    const incomplete = bothIncomplete(page.incomplete, counted?.incomplete);
    return { sessionId, registered, ...rendered, incomplete };
  }

  close(): Promise<void> {
    return this.counter.close();
  }
}
