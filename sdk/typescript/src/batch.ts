/** Events on their way: each is JSON already, so that what is sent is what was handed in. */
export interface Entry {
  json: string;
  bytes: number;
  route: Route;
}

/** Where the events of one key go, for as long as some are under way: so they keep their order. */
export interface Route {
  key: string;
  lane: number;
  underWay: number;
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
