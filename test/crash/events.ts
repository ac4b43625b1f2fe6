import type { NewMemory } from '../support/memory.js';
import type { Random } from '../support/random.js';

const TYPES = ['episodic', 'decision', 'entity', 'session'] as const;
const WORDS = [
  'crawled',
  '抓取了',
  'page',
  'größer',
  '价格',
  'checkout',
  '🧭',
  'naïve',
  '失败',
  '"q"',
];
const DAY_MS = 86_400_000;

/** Makes events whose contents are unique across writers, cycles and seeds. */
export class EventMaker {
  private count = 0;
  private readonly name: string;
  private readonly random: Random;
  private session = 0;

  /** @param name part of every content, so it must differ between makers */
  constructor(name: string, random: Random) {
    this.name = name;
    this.random = random;
  }

  /** The session of the next events; changed by newSession(). */
  get sessionId(): string {
    return `s-${this.name}-${this.session}`;
  }

  newSession(): void {
    this.session += 1;
  }

  /** Every field is given, so that every field can be compared with what comes back. */
  next(): NewMemory {
    const { random } = this;
    this.count += 1;
    const words = Array.from({ length: random.int(1, 40) }, () => random.pick(WORDS));
    const event: NewMemory = {
      agent_id: `agent-${random.int(1, 5)}`,
      session_id: this.sessionId,
      memory_type: random.pick(TYPES),
      event_type: random.chance(0.1) ? 'error' : 'step',
      content: `${this.name} #${this.count} ${words.join(' ')}`,
      metadata: { n: this.count, nested: { list: [1.5, null, 'ä'] } },
      tags: ['crash', `w.${this.name}`],
      importance: random.int(0, 100) / 100,
      parent_id: `p${random.int(1, 9)}`,
    };
    if (random.chance(0.2)) event.time = backfilled(random);
    return event;
  }

  batch(size: number): NewMemory[] {
    return Array.from({ length: size }, () => this.next());
  }
}

/** Some moment of the last 20 days, in the form in which the server answers times. */
function backfilled(random: Random): string {
  const ms = Date.now() - Math.floor(random.next() * 20 * DAY_MS);
  const micros = String(random.int(0, 999)).padStart(3, '0');
  return `${new Date(ms).toISOString().slice(0, -1)}${micros}Z`;
}
