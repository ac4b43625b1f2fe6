/** A broken belief of the program itself: a bug, never a bad request or a failing disk. */
export class AssertionError extends Error {
  override name = 'AssertionError';
}

/** Throws an AssertionError unless `condition` holds. For invariants, not for input. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Narrows away null and undefined where the program knows better than the compiler. */
export function known<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new AssertionError(`missing: ${what}`);
  return value;
}

/** Marks a branch that the types rule out. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}
