/**
 * Which moment came first, across streams of the log. Pure.
 *
 * Positions of two streams do not compare: a log that lost its directory begins a new stream at
 * position 1. So the catalog keeps the order in which streams were written. An epoch is a time in
 * which one stream was; a stream that is put back after another one was written gets a second one.
 */
export interface Epoch {
  stream: string;
  /** The position of the stream that the catalog held when the epoch began: what is past it. */
  after: number;
}

/** The index of the epoch of a position; one that the catalog has not met is past all others. */
export function epochAt(epochs: readonly Epoch[], stream: string, position: number): number {
  for (let at = epochs.length - 1; at >= 0; at--) {
    if (epochs[at].stream === stream && epochs[at].after < position) return at;
  }
  const first = epochs.findIndex((epoch) => epoch.stream === stream);
  return first < 0 ? epochs.length : first;
}

/**
 * Whether a deletion covers the rows of a file: all that streams of earlier epochs left, and of its
 * own what ended at or before its position.
 */
export function covers(
  epochs: readonly Epoch[],
  deletion: { stream: string; position: number },
  file: { stream: string; toPosition: number },
): boolean {
  const of = epochAt(epochs, deletion.stream, deletion.position);
  const at = epochAt(epochs, file.stream, file.toPosition);
  if (at !== of) return at < of;
  return file.stream === deletion.stream && file.toPosition <= deletion.position;
}
