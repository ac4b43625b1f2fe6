import { type Event, MEMORY_TYPES, type MemoryType } from '../event/event.js';

/** Rows that there is room for at first; doubled whenever they are used up. */
const FIRST_ROWS = 256;

/**
 * What filters look at and what says where a row's line lies, as numbers outside the heap: rows
 * wait here for seconds, and objects that live so long are what the garbage collector copies.
 * Texts that many rows share are kept once and named by a number.
 */
export class Columns {
  length = 0;
  times = new Float64Array(FIRST_ROWS);
  /** NaN: never. */
  expiries = new Float64Array(FIRST_ROWS);
  importances = new Float64Array(FIRST_ROWS);
  positions = new Float64Array(FIRST_ROWS);
  /** The piece of the arena that holds the line, and from where to where. */
  pieces = new Uint32Array(FIRST_ROWS);
  starts = new Uint32Array(FIRST_ROWS);
  ends = new Uint32Array(FIRST_ROWS);
  deleted = new Uint8Array(FIRST_ROWS);
  private orgs = new Uint32Array(FIRST_ROWS);
  private agents = new Uint32Array(FIRST_ROWS);
  private sessions = new Uint32Array(FIRST_ROWS);
  private memoryTypes = new Uint8Array(FIRST_ROWS);
  private eventTypes = new Uint32Array(FIRST_ROWS);
  private tags = new Uint32Array(FIRST_ROWS);
  private parents = new Uint32Array(FIRST_ROWS);
  private readonly texts = new Texts();

  /** Adds a row; where its line lies is the caller's to set. @returns its number */
  add(event: Event, position: number): number {
    if (this.length === this.times.length) this.grow();
    const row = this.length++;
    this.times[row] = event.timeUs;
    this.expiries[row] = event.expiresUs ?? Number.NaN;
    this.importances[row] = event.importance;
    this.positions[row] = position;
    this.memoryTypes[row] = MEMORY_TYPES.indexOf(event.memoryType);
    const { texts } = this;
    this.orgs[row] = texts.numberOf(event.orgId);
    this.agents[row] = texts.numberOf(event.agentId);
    this.sessions[row] = texts.numberOf(event.sessionId);
    this.eventTypes[row] = texts.numberOf(event.eventType);
    this.tags[row] = texts.numberOf(event.tagsCsv);
    this.parents[row] = texts.numberOf(event.parentId);
    return row;
  }

  orgId(row: number): string {
    return this.texts.at(this.orgs[row]);
  }

  agentId(row: number): string {
    return this.texts.at(this.agents[row]);
  }

  sessionId(row: number): string {
    return this.texts.at(this.sessions[row]);
  }

  memoryType(row: number): MemoryType {
    return MEMORY_TYPES[this.memoryTypes[row]];
  }

  eventType(row: number): string {
    return this.texts.at(this.eventTypes[row]);
  }

  tagsCsv(row: number): string {
    return this.texts.at(this.tags[row]);
  }

  parentId(row: number): string {
    return this.texts.at(this.parents[row]);
  }

  private grow(): void {
    const rows = this.length * 2;
    this.times = larger(this.times, new Float64Array(rows));
    this.expiries = larger(this.expiries, new Float64Array(rows));
    this.importances = larger(this.importances, new Float64Array(rows));
    this.positions = larger(this.positions, new Float64Array(rows));
    this.pieces = larger(this.pieces, new Uint32Array(rows));
    this.starts = larger(this.starts, new Uint32Array(rows));
    this.ends = larger(this.ends, new Uint32Array(rows));
    this.deleted = larger(this.deleted, new Uint8Array(rows));
    this.orgs = larger(this.orgs, new Uint32Array(rows));
    this.agents = larger(this.agents, new Uint32Array(rows));
    this.sessions = larger(this.sessions, new Uint32Array(rows));
    this.memoryTypes = larger(this.memoryTypes, new Uint8Array(rows));
    this.eventTypes = larger(this.eventTypes, new Uint32Array(rows));
    this.tags = larger(this.tags, new Uint32Array(rows));
    this.parents = larger(this.parents, new Uint32Array(rows));
  }
}

function larger<A extends Float64Array | Uint32Array | Uint8Array>(from: A, to: A): A {
  to.set(from);
  return to;
}

/** Texts and their numbers; '' is 0. */
class Texts {
  private readonly all: string[] = [''];
  private readonly numbers = new Map<string, number>([['', 0]]);

  numberOf(text: string): number {
    if (text === '') return 0;
    const known = this.numbers.get(text);
    if (known !== undefined) return known;
    const number = this.all.push(text) - 1;
    this.numbers.set(text, number);
    return number;
  }

  at(number: number): string {
    return this.all[number];
  }
}
