import { identityOf } from './continue.js';
import { realDisk } from './disk.js';
import { RECORD_HEADER, stageRecord } from './format.js';
import { writeIdentity } from './identity.js';
import { SegmentWriter } from './writer.js';

const MIB = 1024 * 1024;

/**
 * Writes the log of a directory anew, from records that were kept elsewhere: they get the positions
 * after `position` of `stream`, and the next start replays them. Synchronous, for a command.
 */
export class LogRebuild {
  private readonly open: (next: number) => SegmentWriter;
  private writer: SegmentWriter;

  /** @throws if the name is not that of a stream, or the directory holds something already */
  constructor(dir: string, from: { stream: string; position: number; nowUs: number }) {
    const identity = identityOf(from.stream);
    if (identity === null) throw new Error(`not the name of a log stream: ${from.stream}`);
    realDisk.mkdir(dir);
    if (realDisk.list(dir).length > 0) throw new Error(`the log directory ${dir} is not empty`);
    writeIdentity(realDisk, dir, identity);
    const options = { dir, segmentBytes: 64 * MIB, growBytes: MIB, nowUs: () => from.nowUs };
    this.open = (next) =>
      new SegmentWriter(realDisk, options, { identity, next, segments: [], empty: null });
    this.writer = this.open(from.position + 1);
  }

  /** The position of the newest record. */
  get last(): number {
    return this.writer.last;
  }

  /** Appends one record each. Durable after `close`. */
  append(payloads: readonly string[]): void {
    if (payloads.length === 0) return;
    const sizes = payloads.map((payload) => RECORD_HEADER + Buffer.byteLength(payload));
    const group = Buffer.allocUnsafe(sizes.reduce((sum, size) => sum + size, 0));
    let at = 0;
    for (const payload of payloads) at += stageRecord(group, at, payload);
    this.writer.write(group);
  }

  /** Leaves out so many positions, after at least one record: recovery tells them as missing. */
  skip(count: number): void {
    this.writer.close();
    this.writer = this.open(this.writer.last + 1 + count);
  }

  close(): void {
    this.writer.close();
  }
}
