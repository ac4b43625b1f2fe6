import { Fault } from '../fault/fault.js';
import type { Answer, AnswerStore } from '../metadata/metadata.js';

/** What an Idempotency-Key belongs to. */
export interface AnswerKey {
  orgId: string;
  /** `memories`, `agents` or `sessions`. */
  route: string;
  key: string;
  /** SHA-256 of the body, hex. */
  bodyHash: string;
}

/** The first request of a key: it must end the claim, with or without an answer. */
export interface AnswerClaim {
  kind: 'first';
  /** `answer` null: the request failed, errors are not kept, the next one is the first again. */
  end(answer: Answer | null): void;
}

export interface AnswerKnown {
  kind: 'known';
  answer: Answer;
}

export const ANSWERS_KEPT_US = 24 * 3600 * 1_000_000;

interface InFlight {
  bodyHash: string;
  ended: Promise<Answer | null>;
}

/**
 * First answers by Idempotency-Key: in flight here, then in the log record of the request (kept
 * here until the flush), then in the metadata store.
 */
export class Answers {
  private readonly store: AnswerStore;
  private readonly inFlight = new Map<string, InFlight>();
  /** Durable in the log, not in the metadata store yet. */
  private readonly unflushed = new Map<string, Answer>();

  constructor(store: AnswerStore) {
    this.store = store;
  }

  /**
   * The known answer, or the claim to be first. A concurrent request with the same key waits for
   * the first and gets its answer. Rejects with `idempotency_key_reused` for another body.
   */
  async claim(request: AnswerKey, nowUs: number): Promise<AnswerClaim | AnswerKnown> {
    const mapKey = textOf(request);
    for (;;) {
      const flying = this.inFlight.get(mapKey);
      if (flying === undefined) break;
      requireSameBody(request, flying.bodyHash);
      const answer = await flying.ended;
      if (answer !== null) return { kind: 'known', answer };
    }
    const claim = this.open(mapKey, request.bodyHash);
    try {
      const answer = await this.find(mapKey, request, nowUs);
      if (answer === null) return claim;
      requireSameBody(request, answer.bodyHash);
      claim.end(answer);
      return { kind: 'known', answer };
    } catch (error) {
      claim.end(null);
      throw error;
    }
  }

  /**
   * Runs a creation in the metadata store, which keeps `kept` for the Idempotency-Key in the same
   * transaction. @returns what was kept by the first request of the key
   */
  async around<T extends object>(
    key: AnswerKey | undefined,
    kept: T,
    nowUs: number,
    create: (answer?: Answer) => Promise<void>,
  ): Promise<T> {
    if (key === undefined) {
      await create();
      return kept;
    }
    const claim = await this.claim(key, nowUs);
    if (claim.kind === 'known') return JSON.parse(claim.answer.answer) as T;
    const answer: Answer = { ...key, createdUs: nowUs, answer: JSON.stringify(kept) };
    try {
      await create(answer);
    } catch (error) {
      claim.end(null);
      throw error;
    }
    claim.end(answer);
    return kept;
  }

  /** The answer is durable in the log: it is kept here until `flushed`. */
  logged(answer: Answer): void {
    this.unflushed.set(textOf(answer), answer);
  }

  /** The metadata store has them. */
  flushed(answers: readonly Answer[]): void {
    for (const answer of answers) {
      const mapKey = textOf(answer);
      if (this.unflushed.get(mapKey) === answer) this.unflushed.delete(mapKey);
    }
  }

  private open(mapKey: string, bodyHash: string): AnswerClaim {
    let resolve: (answer: Answer | null) => void = () => undefined;
    const ended = new Promise<Answer | null>((done) => {
      resolve = done;
    });
    this.inFlight.set(mapKey, { bodyHash, ended });
    return {
      kind: 'first',
      end: (answer) => {
        this.inFlight.delete(mapKey);
        resolve(answer);
      },
    };
  }

  private async find(mapKey: string, request: AnswerKey, nowUs: number): Promise<Answer | null> {
    const notBefore = nowUs - ANSWERS_KEPT_US;
    const recent = this.unflushed.get(mapKey);
    if (recent !== undefined && recent.createdUs >= notBefore) return recent;
    return this.store.find(request.orgId, request.route, request.key, notBefore);
  }
}

function requireSameBody(request: AnswerKey, bodyHash: string): void {
  if (request.bodyHash === bodyHash) return;
  throw new Fault('idempotency_key_reused', 'this Idempotency-Key was used with another body', {
    field: 'Idempotency-Key',
    hint: 'send a new key with a new body, and the same bytes with the same key',
  });
}

function textOf(key: { orgId: string; route: string; key: string }): string {
  return `${key.orgId} ${key.route} ${key.key}`;
}
