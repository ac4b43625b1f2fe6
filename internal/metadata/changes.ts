export type ChangeKind = 'orgs' | 'keys' | 'agents' | 'sessions';

/** A row of a control table as it is stored, by column. Of keys it holds digests only. */
export type ControlRow = Record<string, string | number | null>;

/** A row of a control table that changed. */
export interface Change {
  kind: ChangeKind;
  orgId: string;
  id: string;
  /** When it last changed. */
  atUs: number;
  /** As it is now; null: it was deleted. */
  row: ControlRow | null;
}

export interface FailedChange {
  change: Change;
  why: string;
}

export interface TakenChanges {
  /** Those numbered up to here were taken before. */
  after: number;
  /** The number of the last one of `changes`. */
  through: number;
  changes: Change[];
}

/** A key was revoked, or an organization deleted: for ever, whatever is restored. */
export interface Gone {
  kind: 'key' | 'org';
  id: string;
  atUs: number;
}

/** What changed in the control tables, for a backup target. Numbers of changes only grow. */
export interface ChangeStore {
  /** Notes changes from now on, or no more. */
  track(active: boolean): Promise<void>;
  /** Forgets all if there are too many: then it is true, and the next backup has them. */
  trim(): Promise<boolean>;
  /** The oldest ones; they stay until `sent`. */
  take(limit: number): Promise<TakenChanges>;
  /** Those numbered up to `through` need not be kept; a later change of a row has a new number. */
  sent(through: number): Promise<void>;
  /** The number of the newest change there ever was. */
  sequence(): Promise<number>;
  /** Makes rows what they were elsewhere; answers those that could not be applied. */
  apply(changes: readonly Change[]): Promise<FailedChange[]>;
  /** All that is revoked or deleted. */
  gone(): Promise<Gone[]>;
  remove(gone: readonly Gone[]): Promise<void>;
}
