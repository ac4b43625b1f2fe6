import type { Caller } from '../auth/caller.js';
import type { Clock } from '../base/clock.js';
import type { UlidFactory } from '../base/ulid.js';
import { mergeMetadata, type SessionInput, type SessionPatch } from '../event/requests.js';
import { Fault } from '../fault/fault.js';
import type { AnswerKey, Answers } from '../ingest/answers.js';
import type { PageAfter, Session, SessionStatus, SessionStore } from '../metadata/metadata.js';

/** The verbs of sessions: a registration is optional, memories go by the literal session_id. */
export interface SessionParts {
  clock: Clock;
  ulids: UlidFactory;
  store: SessionStore;
  answers: Answers;
  metadataBytes: number;
}

interface KeptSession {
  id: string;
  createdUs: number;
}

/** Concurrent updates of one session: each retry means that another one got through. */
const UPDATE_TRIES = 50;

export class Sessions {
  private readonly parts: SessionParts;

  constructor(parts: SessionParts) {
    this.parts = parts;
  }

  async create(caller: Caller, input: SessionInput, key?: AnswerKey): Promise<Session> {
    const nowUs = this.parts.clock.nowUs();
    const id = `sess_${this.parts.ulids.next(Math.floor(nowUs / 1000))}`;
    const session: Session = {
      id,
      orgId: caller.orgId,
      agentId: input.agentId,
      status: 'active',
      metadataJson: input.metadataJson,
      createdUs: nowUs,
      updatedUs: nowUs,
      closedUs: null,
    };
    const kept: KeptSession = { id, createdUs: nowUs };
    const stored = await this.parts.answers.around(key, kept, nowUs, (answer) =>
      this.parts.store.create(session, answer),
    );
    return { ...session, ...stored, updatedUs: stored.createdUs };
  }

  /** Rejects with `not_found`. */
  async find(caller: Caller, id: string): Promise<Session> {
    const session = await this.parts.store.find(caller.orgId, id);
    if (session === null) throw new Fault('not_found', 'session not found');
    return session;
  }

  async isRegistered(caller: Caller, id: string): Promise<boolean> {
    return (await this.parts.store.find(caller.orgId, id)) !== null;
  }

  /** Newest first. */
  async list(
    caller: Caller,
    filter: { agentId?: string; status?: SessionStatus },
    limit: number,
    after?: PageAfter,
  ): Promise<{ sessions: Session[]; hasMore: boolean }> {
    const found = await this.parts.store.list(caller.orgId, filter, limit + 1, after);
    return { sessions: found.slice(0, limit), hasMore: found.length > limit };
  }

  /** Rejects with `not_found`, or `invalid_field` if the merged metadata is over its limits. */
  async update(caller: Caller, id: string, patch: SessionPatch): Promise<Session> {
    for (let tries = 0; tries < UPDATE_TRIES; tries++) {
      const session = await this.find(caller, id);
      const changed = this.changed(session, patch);
      if (await this.parts.store.replace(changed, session.updatedUs)) return changed;
    }
    throw new Fault('store_unavailable', 'the session is being changed too often', {
      retryAfterS: 1,
    });
  }

  /** Removes the registration; its memories are another verb's. Rejects with `not_found`. */
  async remove(caller: Caller, id: string): Promise<void> {
    if (!(await this.parts.store.delete(caller.orgId, id))) {
      throw new Fault('not_found', 'session not found');
    }
  }

  private changed(session: Session, { status, metadata }: SessionPatch): Session {
    // Strictly later, so that compare-and-set on it also tells updates of one moment apart.
    const nowUs = Math.max(this.parts.clock.nowUs(), session.updatedUs + 1);
    const next = { ...session, updatedUs: nowUs };
    if (metadata !== undefined) {
      next.metadataJson = mergeMetadata(session.metadataJson, metadata, this.parts.metadataBytes);
    }
    if (status !== undefined && status !== session.status) {
      next.status = status;
      next.closedUs = status === 'closed' ? nowUs : null;
    }
    return next;
  }
}
