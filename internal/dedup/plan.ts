/**
 * Which runs to merge next. Pure: runs in, a slice of them out.
 *
 * Time is cut into epochs of a sixth of the window, and runs of different epochs are never merged:
 * so a run expires as a whole at most one epoch after its first key, and the expired keys that
 * still cost memory stay below a sixth. Within the epoch that is still being written runs are
 * merged when four or more have come that together reach the next older one (a logarithmic tail,
 * each key is rewritten about four times); an epoch that is over becomes one run.
 */
export interface PlannedRun {
  keys: number;
  newestUs: number;
}

export interface MergePlan {
  /** The runs at from ≤ index < to, oldest first. */
  from: number;
  to: number;
}

const EPOCHS = 6;
const FAN_IN = 4;
/** Bounds the open files and buffers of one merge. */
const MAX_FAN_IN = 32;
/** At the planned load an epoch has 14.4 M keys. Bounds the memory that a merge takes twice. */
const MAX_RUN_KEYS = 16_000_000;

/** @param runs oldest first. Null if there is nothing to merge. */
export function planMerge(runs: readonly PlannedRun[], windowUs: number): MergePlan | null {
  const epoch = (run: PlannedRun): number => Math.floor(run.newestUs / (windowUs / EPOCHS));
  const last = runs.at(-1);
  if (last === undefined) return null;
  const open = epoch(last);
  for (let from = 0; from < runs.length; ) {
    let to = from + 1;
    while (to < runs.length && epoch(runs[to]) === epoch(runs[from])) to++;
    // Clocks step back now and then: only the group at the end can be the one being written.
    const isOpen = to === runs.length && epoch(runs[from]) === open;
    const plan = isOpen ? planTail(runs, from) : planClosed(runs, from, to);
    if (plan !== null) return plan;
    from = to;
  }
  return null;
}

function planTail(runs: readonly PlannedRun[], first: number): MergePlan | null {
  const to = runs.length;
  let from = to - 1;
  let keys = runs[from].keys;
  let enough = FAN_IN;
  while (from > first && runs[from - 1].keys <= keys && to - from < MAX_FAN_IN) {
    if (keys + runs[from - 1].keys > MAX_RUN_KEYS) {
      // It cannot grow any more, so there is nothing to wait for.
      enough = 2;
      break;
    }
    from--;
    keys += runs[from].keys;
  }
  return to - from >= enough ? { from, to } : null;
}

/** The longest stretch that fits, from the oldest on. */
function planClosed(runs: readonly PlannedRun[], first: number, end: number): MergePlan | null {
  for (let from = first; from < end - 1; from++) {
    let keys = runs[from].keys;
    let to = from + 1;
    while (to < end && to - from < MAX_FAN_IN && keys + runs[to].keys <= MAX_RUN_KEYS) {
      keys += runs[to].keys;
      to++;
    }
    if (to - from >= 2) return { from, to };
  }
  return null;
}
