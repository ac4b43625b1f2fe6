interface Waiter {
  promise: Promise<boolean>;
  resolve(durable: boolean): void;
}

/** Those who met an open claim. Promises are made for met claims only: most are never met. */
export class Waiters {
  private readonly byId = new Map<string, Waiter>();

  /** Resolves true once the claim of `id` is durable, false once it is given up. */
  settled(id: string): Promise<boolean> {
    let waiter = this.byId.get(id);
    if (waiter === undefined) {
      let resolve: (durable: boolean) => void = () => undefined;
      const promise = new Promise<boolean>((done) => {
        resolve = done;
      });
      waiter = { promise, resolve };
      this.byId.set(id, waiter);
    }
    return waiter.promise;
  }

  resolve(id: string, durable: boolean): void {
    if (this.byId.size === 0) return;
    this.byId.get(id)?.resolve(durable);
    this.byId.delete(id);
  }

  /** The index closes: nothing will be durable any more. */
  giveUp(): void {
    for (const waiter of this.byId.values()) waiter.resolve(false);
    this.byId.clear();
  }
}
