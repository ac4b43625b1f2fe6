/**
 * A bounded amount (bytes in flight, query slots) shared fairly by tenants.
 *
 * Invariant: no tenant takes more while it holds over half of the pool and another tenant waits.
 * Waiting tenants are served round robin, each in its own order. A single amount above the capacity
 * is cut to the capacity, so that it can pass when alone.
 */
export interface PoolTicket {
  release(): void;
}

export type PoolRefusal = 'full' | 'timeout' | 'aborted';

export class PoolRefused extends Error {
  override name = 'PoolRefused';
  readonly reason: PoolRefusal;
  constructor(reason: PoolRefusal) {
    super(`pool refused: ${reason}`);
    this.reason = reason;
  }
}

interface Waiter {
  tenant: string;
  amount: number;
  admit: () => void;
}

export interface FairPoolOptions {
  capacity: number;
  /** More waiters than this are refused at once. */
  maxWaiting: number;
  /** A waiter is refused after so many milliseconds. */
  maxWaitMs: number;
}

export class FairPool {
  private used = 0;
  private readonly held = new Map<string, number>();
  /** Waiting tenants in turn, each with its queue. */
  private readonly queues = new Map<string, Waiter[]>();
  private waitingCount = 0;
  private readonly options: FairPoolOptions;

  constructor(options: FairPoolOptions) {
    this.options = options;
  }

  get inUse(): number {
    return this.used;
  }

  get waiting(): number {
    return this.waitingCount;
  }

  /** The ticket at once if it can be had without waiting, else null. The hot path. */
  tryTake(tenant: string, amount: number): PoolTicket | null {
    const take = Math.min(amount, this.options.capacity);
    if (this.waitingCount > 0 || !this.fits(tenant, take)) return null;
    return this.grant(tenant, take);
  }

  /** Waits for its turn; rejects with PoolRefused. */
  async take(tenant: string, amount: number, signal?: AbortSignal): Promise<PoolTicket> {
    const now = this.tryTake(tenant, amount);
    if (now !== null) return now;
    if (this.waitingCount >= this.options.maxWaiting) throw new PoolRefused('full');
    if (signal?.aborted) throw new PoolRefused('aborted');
    return this.enqueue(tenant, Math.min(amount, this.options.capacity), signal);
  }

  private enqueue(tenant: string, amount: number, signal?: AbortSignal): Promise<PoolTicket> {
    return new Promise((resolve, reject) => {
      const leave = (reason: PoolRefusal) => {
        cleanup();
        this.remove(waiter);
        reject(new PoolRefused(reason));
      };
      const onAbort = () => leave('aborted');
      const timer = setTimeout(() => leave('timeout'), this.options.maxWaitMs);
      const cleanup = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
      const admit = () => {
        cleanup();
        resolve(this.grant(tenant, amount));
      };
      const waiter: Waiter = { tenant, amount, admit };
      signal?.addEventListener('abort', onAbort);
      this.waitingCount += 1;
      const queue = this.queues.get(tenant);
      if (queue === undefined) this.queues.set(tenant, [waiter]);
      else queue.push(waiter);
      this.serve();
    });
  }

  private fits(tenant: string, amount: number): boolean {
    if (this.used + amount > this.options.capacity) return false;
    if (this.waitingCount === 0) return true;
    const mine = this.held.get(tenant) ?? 0;
    const othersWait = this.queues.size > (this.queues.has(tenant) ? 1 : 0);
    return !othersWait || mine === 0 || mine + amount <= this.options.capacity / 2;
  }

  private grant(tenant: string, amount: number): PoolTicket {
    this.used += amount;
    this.held.set(tenant, (this.held.get(tenant) ?? 0) + amount);
    let released = false;
    return {
      release: () => {
        if (released) return;
        released = true;
        this.used -= amount;
        const left = (this.held.get(tenant) ?? 0) - amount;
        if (left > 0) this.held.set(tenant, left);
        else this.held.delete(tenant);
        if (this.waitingCount > 0) this.serve();
      },
    };
  }

  private serve(): void {
    let admitted = true;
    while (admitted && this.waitingCount > 0) {
      admitted = false;
      for (const [tenant, queue] of [...this.queues]) {
        const waiter = queue[0];
        if (!this.fits(tenant, waiter.amount)) continue;
        // To the back of the turn before it is admitted: the next tenant comes first next time.
        this.remove(waiter);
        const rest = this.queues.get(tenant);
        if (rest !== undefined) {
          this.queues.delete(tenant);
          this.queues.set(tenant, rest);
        }
        waiter.admit();
        admitted = true;
      }
    }
  }

  private remove(waiter: Waiter): void {
    const queue = this.queues.get(waiter.tenant);
    const at = queue?.indexOf(waiter) ?? -1;
    if (queue === undefined || at < 0) return;
    queue.splice(at, 1);
    if (queue.length === 0) this.queues.delete(waiter.tenant);
    this.waitingCount -= 1;
  }
}
