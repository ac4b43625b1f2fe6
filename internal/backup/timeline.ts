import { join } from 'node:path';
import { formatUs, US_PER_MS, US_PER_SECOND } from '../base/clock.js';
import { UlidFactory } from '../base/ulid.js';
import { parseRowLine } from '../event/json.js';
import { decodeEntry, encodeDeletion, encodeEvents } from '../ingest/record.js';
import type { LogRecord } from '../log/log.js';
import { identityOf } from '../log/segments/continue.js';
import { LogRebuild } from '../log/segments/rebuild.js';
import type { Metadata } from '../metadata/metadata.js';
import { openSqliteMetadata } from '../metadata/sqlite/sqlite.js';
import { codeOf } from '../objects/local.js';
import type { Objects } from '../objects/objects.js';
import { applyChanges } from './apply-changes.js';
import {
  readLineage,
  type Section,
  sectionsFrom,
  writeIncarnation,
  writeMark,
} from './incarnation.js';
import { readLedger } from './ledger.js';
import type { Manifest } from './manifest.js';
import { DATABASE } from './place.js';
import { BadShipment, decodeShipment, LOG, parseShipmentKey } from './shipment.js';

export interface TimelineInput {
  objects: Objects;
  /** The directory being made: the database and the files of the backup are in it. */
  dir: string;
  manifest: Manifest;
  /** Only what was there at that time; null: all there is. */
  untilUs: number | null;
  nowUs: number;
}

export interface TimelineReport {
  /** The last position of the log, and the time of the last record or of the backup. */
  position: number;
  throughUs: number;
  /** Records of the log that came after the backup. */
  records: number;
  /** Rows of control tables. */
  changes: number;
  /** Erasures that the backup did not know. */
  erasures: number;
  /** Keys and organizations that were revoked or deleted. */
  revocations: number;
  /** What is missing, in sentences. */
  gaps: string[];
}

/**
 * Brings a restored directory from the point of its backup to a later time: the records of the log
 * that were sent since become its log, which the next start replays; then the control tables; then
 * what must never come back, whenever it was erased or revoked.
 */
export async function applyTimeline(input: TimelineInput): Promise<TimelineReport> {
  const { dir, manifest, objects, nowUs, untilUs } = input;
  const timeline = new TimelineRun(input);
  const { incarnation } = manifest;
  const position = manifest.positions[manifest.stream] ?? 0;
  const sections =
    incarnation === null
      ? []
      : sectionsFrom(await readLineage(objects), { incarnation, position }, untilUs);
  const metadata = await openSqliteMetadata({ path: join(dir, DATABASE) });
  try {
    await timeline.run(metadata, sections);
  } finally {
    await metadata.close();
  }
  const id = new UlidFactory().next(Math.floor(nowUs / US_PER_MS));
  const parent = sections.at(-1)?.incarnation ?? incarnation;
  const shared = timeline.sharedPosition;
  writeIncarnation(dir, { id, parent, position: shared, createdUs: nowUs, untilUs });
  // What both lives share need not be sent again.
  writeMark(dir, { incarnation: id, stream: manifest.stream, position: shared });
  return timeline.report;
}

/** A record that came later than asked for, between others that did not: it keeps its number. */
const EMPTY = encodeEvents([]).payload.toString('utf8');
/** Records of one moment may stand in the log in another order than their times. */
const JITTER_US = 60 * US_PER_SECOND;
/** Empty records between two that are kept. */
const MAX_EMPTY = 10_000;

interface Listed {
  key: string;
  from: number;
  to: number;
}

class TimelineRun {
  readonly report: TimelineReport;
  /** The last position that is as it was in the life before. */
  sharedPosition: number;
  private readonly input: TimelineInput;
  private readonly gaps: string[] = [];
  private readonly erased = new Set<string>();
  private log: LogRebuild | null = null;
  /** The position that the next record must have. */
  private expected: number;
  /** Positions whose records are left out, not written yet: perhaps nothing comes after them. */
  private skipped = 0;
  /** When the newest record that was looked at was accepted. */
  private seenUs: number;
  private anyShipped = false;

  constructor(input: TimelineInput) {
    this.input = input;
    const { manifest } = input;
    const position = manifest.positions[manifest.stream] ?? 0;
    this.expected = position + 1;
    this.sharedPosition = position;
    this.seenUs = manifest.createdUs;
    this.report = {
      position,
      throughUs: manifest.createdUs,
      records: 0,
      changes: 0,
      erasures: 0,
      revocations: 0,
      gaps: this.gaps,
    };
  }

  async run(metadata: Metadata, sections: readonly Section[]): Promise<void> {
    const { objects, untilUs, manifest } = this.input;
    const listed = await this.shipments(sections);
    for (const section of sections) {
      if (!(await this.follow(section, listed.get(section.incarnation) ?? []))) break;
    }
    this.sharedPosition = this.report.position;
    const done = await applyChanges({ objects, metadata, manifest, sections, untilUs });
    this.report.changes = done.applied;
    this.gaps.push(...done.gaps);
    await this.applyLedger(metadata);
    this.log?.close();
    this.tellShort();
  }

  /** What was sent, by incarnation. A log that went on under another name cannot be followed. */
  private async shipments(sections: readonly Section[]): Promise<Map<string, Listed[]>> {
    const { objects, manifest } = this.input;
    const listed = new Map<string, Listed[]>(sections.map(({ incarnation }) => [incarnation, []]));
    const others = new Set<string>();
    let unknown = 0;
    for await (const { key } of objects.list(LOG)) {
      const parsed = parseShipmentKey(key);
      if (parsed === null) continue;
      if (manifest.incarnation === null && parsed.stream === manifest.stream) unknown += 1;
      if (!listed.has(parsed.incarnation)) continue;
      if (parsed.stream === manifest.stream) {
        listed.get(parsed.incarnation)?.push({ key, ...parsed });
        this.anyShipped = true;
      } else if (epochOf(parsed.stream) > epochOf(manifest.stream)) others.add(parsed.stream);
    }
    if (unknown > 0 && !this.endsAtBackup) {
      this.gaps.push('the log that was sent here: the backup does not say where it belongs in it');
    }
    for (const stream of others) {
      this.gaps.push(`the log had been begun anew as ${stream}: what it holds is not restored`);
    }
    for (const keys of listed.values()) keys.sort((a, b) => a.from - b.from || b.to - a.to);
    return listed;
  }

  /** False once everything that follows is later than asked for. */
  private async follow({ through }: Section, listed: readonly Listed[]): Promise<boolean> {
    for (const { key, from, to } of listed) {
      if (to < this.expected || from > through) continue;
      const records = await this.read(key);
      if (records === null) continue;
      const kept = records.filter(({ position }) => position <= through);
      if (!this.append(kept)) return false;
    }
    return true;
  }

  /** Null if it cannot be believed: what it held is told as missing, if nothing else has it. */
  private async read(key: string): Promise<LogRecord[] | null> {
    try {
      return (await decodeShipment(await this.input.objects.get(key))).records;
    } catch (error) {
      const gone = codeOf(error) === 'ENOENT';
      if (!gone && !(error instanceof BadShipment)) throw error;
      this.gaps.push(`${key} is ${gone ? 'missing' : 'damaged'}`);
      return null;
    }
  }

  /** False if all of them came later than asked for. */
  private append(records: readonly LogRecord[]): boolean {
    const { untilUs } = this.input;
    const payloads: string[] = [];
    let earliestUs = Number.POSITIVE_INFINITY;
    for (const { position, payload } of records) {
      if (position < this.expected) continue;
      const us = untilUs === null ? 0 : timeOf(payload);
      earliestUs = Math.min(earliestUs, us);
      if (position > this.expected) {
        this.write(payloads.splice(0));
        this.miss(position - 1);
      }
      this.expected = position + 1;
      this.seenUs = us;
      if (untilUs !== null && us > untilUs) {
        this.skipped += 1;
        continue;
      }
      if (this.skipped > 0) {
        this.write(payloads.splice(0));
        this.fill();
      }
      payloads.push(payload);
      this.note(payload);
    }
    this.write(payloads);
    return untilUs === null || earliestUs <= untilUs + JITTER_US || records.length === 0;
  }

  private note(payload: string): void {
    this.report.records += 1;
    if (!payload.startsWith('{"kind":"deletion"')) return;
    const entry = decodeEntry(payload);
    if (entry.kind === 'deletion') this.erased.add(entry.deletion.id);
  }

  private write(payloads: readonly string[]): void {
    const last = payloads.at(-1);
    if (last === undefined) return;
    const { dir, manifest, nowUs } = this.input;
    const { position } = this.report;
    const { stream } = manifest;
    this.log ??= new LogRebuild(join(dir, 'wal'), { stream, position, nowUs });
    this.log.append(payloads);
    this.report.position = this.log.last;
    this.report.throughUs = Math.max(this.report.throughUs, timeOf(last));
  }

  /** Takes the numbers of records that are left out: only now, as something comes after them. */
  private fill(): void {
    const count = Math.min(this.skipped, MAX_EMPTY);
    this.write(Array.from({ length: count }, () => EMPTY));
    // Millions need no record each: the next start of the server tells them as missing.
    if (count < this.skipped) this.log?.skip(this.skipped - count);
    this.skipped = 0;
  }

  /** The numbers stay, so that what follows keeps its own. */
  private miss(to: number): void {
    const { untilUs } = this.input;
    const count = to - this.expected + 1;
    if (untilUs === null || this.seenUs < untilUs) {
      this.gaps.push(`${count} records of the log, ${this.expected} to ${to}, are not here`);
    }
    this.skipped += count;
  }

  /**
   * Erasures that neither the backup nor the records know become the last records: they cover all
   * that is restored, and nothing that comes later.
   */
  private async applyLedger(metadata: Metadata): Promise<void> {
    const { erasures, revocations, unreadable } = await readLedger(this.input.objects);
    this.gaps.push(...unreadable.map((key) => `${key}, which must not come back, is damaged`));
    for (const { id } of await metadata.deletions.all()) this.erased.add(id);
    const open = erasures.filter(({ id }) => !this.erased.has(id));
    this.skipped = 0;
    const { throughUs } = this.report;
    this.write(open.map(encodeDeletion));
    this.report.throughUs = throughUs;
    await metadata.changes.remove(revocations);
    this.report.erasures = open.length;
    this.report.revocations = revocations.length;
  }

  /** Nothing beyond the backup is asked for. */
  private get endsAtBackup(): boolean {
    const { untilUs, manifest } = this.input;
    return untilUs !== null && untilUs <= manifest.createdUs;
  }

  /** Where no log was ever sent, a time after the backup is out of reach. */
  private tellShort(): void {
    const { untilUs, manifest } = this.input;
    if (untilUs === null || this.endsAtBackup || this.anyShipped) return;
    this.gaps.push(`what came after ${formatUs(manifest.createdUs)}, the point of the backup`);
  }
}

/** How often the log of that name had been begun anew. */
function epochOf(stream: string): number {
  return identityOf(stream)?.epoch ?? 0;
}

/** When a record was accepted. */
function timeOf(payload: string): number {
  const end = payload.indexOf('\n');
  const head = JSON.parse(end < 0 ? payload : payload.slice(0, end)) as {
    deletion?: { requestedUs: number };
    answer?: { createdUs: number };
  };
  if (head.deletion !== undefined) return head.deletion.requestedUs;
  if (end < 0) return head.answer?.createdUs ?? 0;
  const next = payload.indexOf('\n', end + 1);
  return parseRowLine(payload.slice(end + 1, next < 0 ? undefined : next)).ingestedUs;
}
