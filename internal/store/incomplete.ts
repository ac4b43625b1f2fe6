import type { Incomplete } from './store.js';

/** What two answers left out, taken together: each file counts once. */
export function bothIncomplete(
  a: Incomplete | undefined,
  b: Incomplete | undefined,
): Incomplete | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  const fileIds = [...new Set([...a.fileIds, ...b.fileIds])];
  return {
    files: fileIds.length,
    fileIds,
    sinceUs: Math.min(a.sinceUs, b.sinceUs),
    untilUs: Math.max(a.untilUs, b.untilUs),
  };
}
