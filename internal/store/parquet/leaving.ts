import type { Epoch } from '../../metadata/epochs.js';
import type { Deletion, Partition } from '../../metadata/metadata.js';
import { ApplicableDeletions } from './deletions.js';
import { allOf, oneOf, type Parameters } from './sql.js';

/**
 * Which rows a rewritten file leaves out, as one SQL condition. Pure.
 *
 * Why it is right to merge files of different positions: a deletion applies to a file iff its
 * position is at or past the end of the file's range (deletions.ts). An output ends where its last
 * input ends, at T, and T <= `through`. A deletion between an input's end and T covers all of that
 * input and would not be applied to the output by that rule, so it must be applied here: all of
 * those are at or below `through`, and all of them are known, as a deletion is known before the
 * files of its position are. (If the range reaches over two epochs of the stream the same holds:
 * moments are in one order, and those of other streams in between are known.) A deletion past
 * `through` is past T: reads apply it to the output as they did to the inputs. One before an
 * input's end was applied when that input was made.
 */
export interface Leaving {
  /** The stream that is still written, and the position of it up to which files are rewritten. */
  stream: string;
  through: number;
  epochs: readonly Epoch[];
  /** By organization; those past `through` are left to the reads. */
  deletions: ReadonlyMap<string, readonly Deletion[]>;
  /** Rows that expired by then leave; null: none, as the clock is not to be trusted. */
  expiredUs: number | null;
  /** By organization: rows of earlier times leave. */
  floors: ReadonlyMap<string, number>;
}

/** Nothing but what the positions demand. */
export function applicable({ stream, through }: Leaving, deletion: Deletion): boolean {
  return deletion.stream !== stream || deletion.position <= through;
}

/** The rows of `file` that leave, or null if surely none does. Never null as a value in SQL. */
export function leavingRows(
  file: Partition,
  leaving: Leaving,
  parameters: Parameters,
): string | null {
  const conditions = [
    ...deletedRows(file, leaving, parameters),
    ...expiredRows(file, leaving, parameters),
    ...rowsBelowFloors(file, leaving, parameters),
  ];
  return conditions.length === 0 ? null : `(${conditions.join(' OR ')})`;
}

function deletedRows(file: Partition, leaving: Leaving, parameters: Parameters): string[] {
  const range = { sinceUs: file.minTimeUs, untilUs: file.maxTimeUs + 1 };
  const conditions: string[] = [];
  for (const [orgId, deletions] of leaving.deletions) {
    const known = deletions.filter((deletion) => applicable(leaving, deletion));
    if (known.length === 0) continue;
    const { erased } = new ApplicableDeletions(known, range, {}, leaving.epochs).to(file);
    const of = [
      ...(erased.ids.length > 0 ? oneOf('id', erased.ids, parameters) : []),
      ...(erased.sessions.length > 0 ? oneOf('session_id', erased.sessions, parameters) : []),
      ...erased.filters.map((filter) => `(${allOf(filter, parameters) || 'true'})`),
    ];
    if (of.length > 0) {
      conditions.push(`(org_id = ${parameters.add(orgId)} AND (${of.join(' OR ')}))`);
    }
  }
  return conditions;
}

function expiredRows(file: Partition, { expiredUs }: Leaving, parameters: Parameters): string[] {
  const { minExpiresUs } = file;
  if (expiredUs === null || minExpiresUs === null || minExpiresUs > expiredUs) return [];
  return [`(expires_at IS NOT NULL AND expires_at <= ${parameters.time(expiredUs)})`];
}

function rowsBelowFloors(file: Partition, { floors }: Leaving, parameters: Parameters): string[] {
  const byFloor = new Map<number, string[]>();
  for (const [orgId, floorUs] of floors) {
    if (floorUs <= file.minTimeUs) continue;
    byFloor.set(floorUs, [...(byFloor.get(floorUs) ?? []), orgId]);
  }
  return [...byFloor].map(([floorUs, orgs]) => {
    const [of] = oneOf('org_id', orgs, parameters);
    return `(${of} AND time < ${parameters.time(floorUs)})`;
  });
}
