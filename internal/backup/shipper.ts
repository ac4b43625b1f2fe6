import type { Clock } from '../base/clock.js';
import { Mutex } from '../base/mutex.js';
import { decodeEntry } from '../ingest/record.js';
import type { Log, LogRecord } from '../log/log.js';
import type { ChangeStore } from '../metadata/changes.js';
import type { Objects } from '../objects/objects.js';
import { shipChanges } from './changes.js';
import {
  type Incarnation,
  lineageKey,
  readMark,
  type ShippedMark,
  writeIncarnation,
  writeMark,
} from './incarnation.js';
import type { Erasure, Revocation } from './ledger.js';
import { LEDGER_MARGIN_US, Ledger } from './ledger.js';
import {
  encodeShipment,
  frameOf,
  parseShipmentKey,
  type ShipmentHead,
  shipmentFolder,
  shipmentKey,
} from './shipment.js';
import { oldestBackupUs } from './target.js';

/** What is sent to the target as it happens: the log, the ledger, changes of control tables. */
export interface ShipperParts {
  /** The target; rejects while it is out of reach. */
  open(): Promise<Objects>;
  log: Pick<Log, 'stream' | 'durable' | 'read'> & { rotate(): Promise<void> };
  dataDir: string;
  clock: Clock;
  incarnation: Incarnation;
  /** Makes the life that goes on from `position` of another one. */
  fork(from: Incarnation, position: number): Incarnation;
  /** False: only the ledger and the changes. */
  shipsLog: boolean;
  /** The first position to send if nothing is known. */
  catalogPosition: number;
  /** Erasures whose bytes may still be anywhere. */
  pending(): readonly Erasure[];
  /** Everything that ever was erased or revoked. */
  everything(): Promise<{ erasures: readonly Erasure[]; revocations: readonly Revocation[] }>;
  changes: ChangeStore;
  /** Records up to `position` are in the target. */
  onShipped(position: number): Promise<void>;
  /** Records that are not in the target and will not be. */
  onGap(from: number, to: number): void;
  /** The same of changes of keys, agents and sessions. */
  onChangesLost(): void;
}

/** Bytes of records in one object; one larger record makes a larger object. */
const OBJECT_BYTES = 4 * 1024 * 1024;

/** Open with one target. */
interface Session {
  objects: Objects;
  ledger: Ledger;
}

export class Shipper {
  private readonly parts: ShipperParts;
  private readonly turn = new Mutex();
  private session: Session | null = null;
  private current: Incarnation;
  /** Where the log ended when it was opened. */
  private readonly openedAt: number;
  /** The newest position that is in the target. */
  private through: number;
  /** Whether a mark said so; else the target's listing is asked. */
  private marked: boolean;
  private changesUs = 0;
  /** Something may have been erased or revoked that the ledger was not told. */
  private ledgerLacks = true;

  constructor(parts: ShipperParts) {
    this.parts = parts;
    this.current = parts.incarnation;
    this.openedAt = parts.log.durable;
    const { dataDir, log, catalogPosition } = parts;
    const mark = startFrom(readMark(dataDir), this.life.id, log.stream);
    this.marked = mark !== null;
    this.through = Math.min(mark ?? catalogPosition, log.durable);
  }

  get position(): number {
    return this.through;
  }

  /** The life whose log is sent. */
  get life(): Incarnation {
    return this.current;
  }

  /** Sends what is there now. Rejects if the target refuses: what was sent stays sent. */
  run(): Promise<void> {
    return this.turn.run(() => this.pass());
  }

  private async pass(): Promise<void> {
    if (await this.parts.changes.trim()) {
      this.ledgerLacks = true;
      this.parts.onChangesLost();
    }
    const session = this.session ?? (await this.begin());
    if (this.ledgerLacks) await this.addEverything(session.objects, session.ledger);
    await session.ledger.add(this.parts.pending(), []);
    await this.shipChanges(session);
    if (this.parts.shipsLog) await this.shipLog(session);
  }

  /** After a start, or a time out of reach: what the target has, and the whole ledger. */
  private async begin(): Promise<Session> {
    const objects = await this.parts.open();
    await this.resume(objects);
    const text = `${JSON.stringify(this.life)}\n`;
    await objects.put(lineageKey(this.life.id), Buffer.from(text));
    const ledger = new Ledger(objects);
    await ledger.list();
    this.session = { objects, ledger };
    return this.session;
  }

  /** What every backup of the target has in its database needs no entry. */
  private async addEverything(objects: Objects, ledger: Ledger): Promise<void> {
    const { erasures, revocations } = await this.parts.everything();
    const sinceUs = (await oldestBackupUs(objects, this.parts.clock.nowUs())) - LEDGER_MARGIN_US;
    await ledger.add(
      erasures.filter(({ requestedUs }) => requestedUs >= sinceUs),
      revocations.filter(({ atUs }) => atUs >= sinceUs),
    );
    this.ledgerLacks = false;
  }

  /**
   * A target that has more of this life than the log: the directory was put back to an earlier
   * state, and what comes now is another history.
   */
  private async resume(objects: Objects): Promise<void> {
    const { log, dataDir, fork } = this.parts;
    let newest = 0;
    for await (const { key } of objects.list(shipmentFolder(log.stream, this.life.id))) {
      newest = Math.max(newest, parseShipmentKey(key)?.to ?? 0);
    }
    if (newest <= this.openedAt) {
      const unmarked = !this.marked && newest > 0;
      this.through = unmarked ? newest : Math.max(this.through, newest);
      this.marked = true;
      return;
    }
    this.current = fork(this.life, this.openedAt);
    writeIncarnation(dataDir, this.life);
    this.through = this.openedAt;
  }

  private async shipChanges({ objects, ledger }: Session): Promise<void> {
    const { changes, clock } = this.parts;
    const nowUs = clock.nowUs();
    const to = { objects, ledger, incarnation: this.life.id, sinceUs: this.changesUs };
    await shipChanges(changes, to);
    this.changesUs = nowUs;
  }

  private async shipLog(session: Session): Promise<void> {
    const { log, dataDir } = this.parts;
    if (log.durable <= this.through) return;
    // So that the next read begins with a segment, instead of walking through this one again.
    // On a full disk there is none, and sending matters more.
    await log.rotate().catch(() => undefined);
    const upTo = log.durable;
    let frames: Buffer[] = [];
    let records: LogRecord[] = [];
    let bytes = 0;
    const send = async () => {
      if (records.length > 0) await this.send(session, records, frames);
      frames = [];
      records = [];
      bytes = 0;
    };
    let expected = this.through + 1;
    for await (const record of log.read(this.through)) {
      if (record.position !== expected) {
        await send();
        await this.gap(session, expected, record.position - 1);
      }
      expected = record.position + 1;
      const frame = frameOf(record);
      frames.push(frame);
      records.push(record);
      bytes += frame.length;
      if (bytes >= OBJECT_BYTES) await send();
    }
    await send();
    if (expected <= upTo) await this.gap(session, expected, upTo);
    const mark = { incarnation: this.life.id, stream: log.stream, position: this.through };
    writeMark(dataDir, mark);
    await this.parts.onShipped(this.through);
  }

  /** What must not come back goes first: a log without its ledger would bring it. */
  private async send(session: Session, records: LogRecord[], frames: Buffer[]): Promise<void> {
    await session.ledger.add(records.flatMap(erasureIn), []);
    const [first] = records;
    const head: ShipmentHead = {
      stream: this.parts.log.stream,
      incarnation: this.life.id,
      from: first.position,
      to: records[records.length - 1].position,
      records: records.length,
    };
    // False: a crash came after it was sent and before that was noted.
    await session.objects.put(shipmentKey(head), await encodeShipment(head, frames));
    this.through = head.to;
    await this.parts.onShipped(head.to);
  }

  /** Erasures may have been among them. */
  private async gap(session: Session, from: number, to: number): Promise<void> {
    await this.addEverything(session.objects, session.ledger);
    this.parts.onGap(from, to);
    this.through = to;
  }
}

/** The position that a mark tells; null if it is of another life. */
export function startFrom(
  mark: ShippedMark | null,
  incarnation: string,
  stream: string,
): number | null {
  return mark?.incarnation === incarnation && mark.stream === stream ? mark.position : null;
}

function erasureIn({ payload }: LogRecord): Erasure[] {
  if (!payload.startsWith('{"kind":"deletion"')) return [];
  const entry = decodeEntry(payload);
  return entry.kind === 'deletion' ? [entry.deletion] : [];
}
