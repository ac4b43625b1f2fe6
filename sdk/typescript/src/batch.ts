/** Events on their way: each is JSON already, so that what is sent is what was handed in. */
export interface Entry {
  json: string;
  bytes: number;
}

/** Entries that go out together, in order. */
export class Batch {
  readonly entries: Entry[] = [];
  bytes = 0;
  /** By the clock of the lane, when the first entry came in. */
  readonly openedAt: number;

  constructor(openedAt: number) {
    this.openedAt = openedAt;
  }

  push(entry: Entry): void {
    this.entries.push(entry);
    this.bytes += entry.bytes;
  }
}

/** `{"memories":[…]}`. Retries send the same string, so the same bytes. */
export function bodyOf(entries: readonly Entry[]): string {
  return `{"memories":[${entries.map((entry) => entry.json).join(',')}]}`;
}

const encoder = new TextEncoder();
type Measure = (text: string) => number;
const { Buffer } = globalThis as { Buffer?: { byteLength?: Measure } };

/** The length of a text in UTF-8. */
export const byteLength: Measure =
  typeof Buffer?.byteLength === 'function'
    ? Buffer.byteLength.bind(Buffer)
    : (text) => encoder.encode(text).length;

/** Events of one key keep their order: FNV-1a, as good as any to spread keys over lanes. */
export function laneOf(key: string, lanes: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  }
  return (hash >>> 0) % lanes;
}
