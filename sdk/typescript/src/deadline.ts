import { ConnectionError, type MemtraceError, TimeoutError } from './errors.js';

/**
 * The signal of one try: the caller's, and a clock that can be wound up again. (AbortSignal.any
 * would keep every try alive for as long as the caller's signal lives on Node 20.)
 */
export class Deadline {
  private readonly controller = new AbortController();
  private readonly caller: AbortSignal | undefined;
  private readonly ms: number;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private expired = false;
  private readonly forward = () => this.controller.abort(this.caller?.reason);

  constructor(ms: number, caller: AbortSignal | undefined) {
    this.ms = ms;
    this.caller = caller;
    if (caller?.aborted) this.forward();
    else caller?.addEventListener('abort', this.forward, { once: true });
    this.wind();
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** There was progress: the time begins anew. */
  wind(): void {
    clearTimeout(this.timer);
    if (!Number.isFinite(this.ms)) return;
    this.timer = setTimeout(() => {
      this.expired = true;
      this.controller.abort();
    }, this.ms);
  }

  /** The clock stands still until it is wound up again. */
  rest(): void {
    clearTimeout(this.timer);
  }

  /** Always to be called, so that nothing is left on the caller's signal. */
  clear(): void {
    clearTimeout(this.timer);
    this.caller?.removeEventListener('abort', this.forward);
  }

  /** Lets go of a connection that is no longer wanted. */
  abandon(): void {
    this.clear();
    this.controller.abort();
  }

  /** What to throw for what fetch threw. Throws the reason of the caller's own signal. */
  explain(cause: unknown): MemtraceError {
    if (this.caller?.aborted) throw this.caller.reason;
    if (this.expired) {
      const text = `no answer within ${this.ms} ms`;
      return new TimeoutError(text, { code: 'timeout', cause });
    }
    const text = `the server could not be reached: ${textOf(cause)}`;
    return new ConnectionError(text, { code: 'connection_failed', cause });
  }
}

/** fetch of Node says only "fetch failed"; why is in its cause. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && error.cause.message !== ''
    ? error.cause.message
    : error.message;
}
