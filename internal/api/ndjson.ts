import { isUtf8 } from 'node:buffer';
import { turns } from '../base/turns.js';
import type { DecodeContext } from '../event/decode.js';
import type { Event } from '../event/event.js';
import { Fault, invalid } from '../fault/fault.js';
import { chunksOf, inflated, readFault } from './body.js';
import type { Reply } from './http.js';
import { LineSplitter } from './lines.js';
import { type ApiRequest, json, sourceOf } from './request.js';

/**
 * POST /memories with application/x-ndjson: one memory a line, any length, memory flat. Lines are
 * stored in groups, a few groups at a time on their way to the disk; when those are out, the stream
 * is not read on, so a slow disk slows the sender.
 */
const MAX_LINE_BYTES = 1024 * 1024;
const GROUP_LINES = 500;
const GROUP_BYTES = 512 * 1024;
const GROUPS_UNDER_WAY = 4;
/** What a stream takes of the budget for bodies: the groups under way. */
const STREAM_BYTES = GROUPS_UNDER_WAY * GROUP_BYTES;
const REJECTED_SHOWN = 100;

interface RejectedLine {
  line: number;
  error: string;
  field?: string;
}

export async function streamMemories(request: ApiRequest): Promise<Reply> {
  if (request.http.header('idempotency-key') !== undefined) {
    throw invalid('Idempotency-Key', 'Idempotency-Key does not go with a stream of lines.');
  }
  const { services, caller } = request;
  const ticket = await services.bodies.take(caller.orgId, STREAM_BYTES).catch((cause: unknown) => {
    throw new Fault('overloaded', 'too many bytes are in flight', { retryAfterS: 1, cause });
  });
  const intake = new Intake(request);
  try {
    await intake.run();
    return json(request, intake.summary());
  } catch (error) {
    throw intake.explain(error);
  } finally {
    ticket.release();
  }
}

const TOO_LONG = { error: `a line holds at most ${MAX_LINE_BYTES} bytes` };

class Intake {
  private readonly request: ApiRequest;
  private context: DecodeContext;
  private group: Event[] = [];
  private groupBytes = 0;
  private readonly underWay: Promise<void>[] = [];
  private line = 0;
  private accepted = 0;
  private duplicates = 0;
  private rejectedCount = 0;
  private readonly rejected: RejectedLine[] = [];

  constructor(request: ApiRequest) {
    this.request = request;
    this.context = request.services.remember.contextOf(request.caller);
  }

  async run(): Promise<void> {
    const splitter = new LineSplitter(MAX_LINE_BYTES);
    try {
      for await (const chunk of chunksOf(inflated(sourceOf(this.request)))) {
        await this.takeAll(splitter.push(chunk));
      }
    } catch (error) {
      // What is on its way is stored or refused before the answer, so that its counts are true.
      await Promise.allSettled(this.underWay);
      throw readFault(error);
    }
    await this.takeAll(splitter.end());
    await this.store();
    await Promise.all(this.underWay);
  }

  summary() {
    return {
      accepted: this.accepted,
      duplicates: this.duplicates,
      rejected: this.rejected,
      rejected_count: this.rejectedCount,
    };
  }

  /** The counts of what was stored go with the error: whole lines of a cut stream may be there. */
  explain(error: unknown): unknown {
    if (!(error instanceof Fault)) return error;
    const extra = { ...error.details.extra, ...this.summary() };
    return new Fault(error.code, error.message, { ...error.details, extra });
  }

  private async takeAll(lines: Iterable<Buffer | null>): Promise<void> {
    for (const line of lines) {
      this.line += 1;
      this.take(line);
      const full = this.group.length >= GROUP_LINES || this.groupBytes >= GROUP_BYTES;
      if (full) await this.store();
    }
  }

  private take(line: Buffer | null): void {
    const why = line === null ? TOO_LONG : this.decode(line);
    if (why === null) return;
    this.rejectedCount += 1;
    if (this.rejected.length < REJECTED_SHOWN) this.rejected.push({ line: this.line, ...why });
  }

  /** Adds the event of a line to the group, or says why not. */
  private decode(line: Buffer): Omit<RejectedLine, 'line'> | null {
    const text = line.toString('utf8');
    if (text.trim() === '') return null;
    if (!isUtf8(line)) return { error: 'the line is not valid UTF-8' };
    try {
      this.group.push(this.request.services.remember.decode(JSON.parse(text), this.context));
      this.groupBytes += line.length;
      return null;
    } catch (error) {
      if (error instanceof SyntaxError) return { error: 'the line is not valid JSON' };
      if (error instanceof Fault) return { error: error.message, field: error.details.field };
      throw error;
    }
  }

  private async store(): Promise<void> {
    const { group } = this;
    this.group = [];
    this.groupBytes = 0;
    // The clock of each group, not of the first line: a stream may take hours.
    this.context = this.request.services.remember.contextOf(this.request.caller);
    if (group.length === 0) return;
    const stored = this.request.services.remember.lines(group).then((outcome) => {
      this.accepted += outcome.stored;
      this.duplicates += outcome.duplicates;
    });
    stored.catch(() => undefined);
    this.underWay.push(stored);
    if (this.underWay.length >= GROUPS_UNDER_WAY) await this.underWay.shift();
    else await turns.next();
  }
}
