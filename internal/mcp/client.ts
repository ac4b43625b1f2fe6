import { NAME_RULE } from '../event/rules.js';
import { invalid } from '../fault/fault.js';
import { problemOf, type Send, type WireCall, WireError, type WireReply } from './wire.js';

/** An answer: as JSON text, and the object that it is. */
export interface Answer {
  text: string;
  value: Record<string, unknown>;
}

/** Which memories to erase: one of the three. */
export interface ForgetTarget {
  id?: string;
  session_id?: string;
  agent_id?: string;
  since?: string;
  until?: string;
}

type Members = Readonly<Record<string, unknown>>;

/** What a model could not read anyway, some 250 k tokens, must not hold up the event loop. */
const RESULT_LENGTH_MAX = 1024 * 1024;
const RECALL_SINCE = '24h';
const RECALL_LIMIT = 50;
/** More agents than this are no list to read. */
const AGENTS_LIMIT = 1_000;

/**
 * The verbs of the tools over the wire API. Members go through as they came: the server checks
 * them and names the one that is wrong. Every method rejects with WireError, or with Fault
 * `invalid_field` for an id that no path can carry.
 */
export class MemoryClient {
  private readonly send: Send;
  private readonly signal: AbortSignal | undefined;

  /** @param signal ends all calls of this client */
  constructor(send: Send, signal?: AbortSignal) {
    this.send = send;
    this.signal = signal;
  }

  remember(memory: Members): Promise<Answer> {
    return this.ask({ method: 'POST', path: '/memories', body: memory });
  }

  /** Newest first. */
  recall({ since = RECALL_SINCE, limit = RECALL_LIMIT, ...filters }: Members): Promise<Answer> {
    const query = textsOf({ ...filters, since, limit });
    return this.ask({ method: 'GET', path: '/memories', query });
  }

  search(filters: Members): Promise<Answer> {
    return this.ask({ method: 'POST', path: '/search', body: filters });
  }

  decide({ decision, reasoning, ...rest }: Members): Promise<Answer> {
    const kind = { memory_type: 'decision', event_type: 'decision' };
    return this.remember({ ...rest, ...kind, content: decision, metadata: { reasoning } });
  }

  createSession(session: Members): Promise<Answer> {
    return this.ask({ method: 'POST', path: '/sessions', body: session });
  }

  /** A session as markdown that is safe in a prompt, in the member `context`. */
  context(sessionId: string, { since = 'all', ...options }: Members = {}): Promise<Answer> {
    const id = pathId(sessionId, 'session_id');
    const body = { ...options, since };
    return this.ask({ method: 'POST', path: '/sessions/:id/context', id, body });
  }

  registerAgent(agent: Members): Promise<Answer> {
    return this.ask({ method: 'POST', path: '/agents', body: agent });
  }

  /** `deleted` and `erasure_id` of what was erased. */
  async forget({ id, ...filters }: ForgetTarget): Promise<Answer> {
    if (id === undefined) {
      return this.ask({ method: 'DELETE', path: '/memories', query: textsOf(filters) });
    }
    const call = { method: 'DELETE', path: '/memories/:id', id: pathId(id, 'id') } as const;
    const { erasureId } = await this.call(call);
    return answerOf({ deleted: 1, erasure_id: erasureId });
  }

  listAgents(): Promise<Answer> {
    const query = { limit: String(AGENTS_LIMIT) };
    return this.ask({ method: 'GET', path: '/agents', query });
  }

  /** What the key may do. */
  async permissions(): Promise<readonly string[]> {
    const { value } = await this.ask({ method: 'GET', path: '/keys/self', once: true });
    const { permissions } = value;
    return Array.isArray(permissions) ? permissions.map(String) : [];
  }

  private async ask(call: WireCall): Promise<Answer> {
    const { text } = await this.call(call);
    return { text, value: JSON.parse(text) as Record<string, unknown> };
  }

  private async call(call: WireCall): Promise<WireReply> {
    const reply = await this.send(call, this.signal);
    if (reply.status >= 400) throw new WireError(problemOf(reply.status, reply.text));
    if (reply.text.length > RESULT_LENGTH_MAX) throw tooMuch();
    return reply;
  }
}

function answerOf(value: Record<string, unknown>): Answer {
  return { text: JSON.stringify(value), value };
}

/** Texts of a query string; absent members are left out. */
function textsOf(members: Members): Record<string, string> {
  const sent = Object.entries(members).filter(([, value]) => value !== undefined);
  return Object.fromEntries(sent.map(([name, value]) => [name, String(value)]));
}

/** Ids stand in a path: what is none of them (`..`) would change the route. */
function pathId(id: string, field: string): string {
  if (NAME_RULE.regex.test(id)) return id;
  throw invalid(field, `${field} ${NAME_RULE.must}.`);
}

function tooMuch(): WireError {
  return new WireError({
    error: `the result is longer than ${RESULT_LENGTH_MAX} characters`,
    code: 'result_too_large',
    hint: 'ask for less: a smaller limit, a shorter window, or more filters',
  });
}
