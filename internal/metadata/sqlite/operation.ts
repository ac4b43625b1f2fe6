/** One operation on the database: pure SQL, no waiting, run by the scheduler on its own terms. */
export interface Operation<A extends unknown[], T> {
  /** Reads are served at once; writes that wait together share one transaction. */
  kind: 'read' | 'write';
  run(...args: A): T;
}

/** An operation that changes nothing and runs outside any transaction. */
export function read<A extends unknown[], T>(run: (...args: A) => T): Operation<A, T> {
  return { kind: 'read', run };
}

/** An operation that runs within a transaction and a savepoint of its own: throwing undoes it. */
export function write<A extends unknown[], T>(run: (...args: A) => T): Operation<A, T> {
  return { kind: 'write', run };
}
