/**
 * Runs tasks one after another, in the order of the calls; one that fails does not stop the next.
 */
export class Mutex {
  private tail: Promise<unknown> = Promise.resolve();
  private running = 0;

  /** Whether a task runs or waits. */
  get busy(): boolean {
    return this.running > 0;
  }

  run<T>(task: () => Promise<T>): Promise<T> {
    this.running += 1;
    const result = this.tail.then(task, task).finally(() => {
      this.running -= 1;
    });
    this.tail = result.catch(() => undefined);
    return result;
  }
}
