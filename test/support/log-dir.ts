import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Damage, DamageReport } from '../../internal/log/segments/damage.js';
import { type Disk, realDisk } from '../../internal/log/segments/disk.js';
import { RECORD_HEADER, stageRecord } from '../../internal/log/segments/format.js';
import { readChunk } from '../../internal/log/segments/reader.js';
import { type Recovered, recover } from '../../internal/log/segments/recover.js';
import { SegmentWriter } from '../../internal/log/segments/writer.js';

/** A fresh directory; the caller removes it. */
export function temporaryDirectory(): string {
  return fs.mkdtempSync(path.join(os.tmpdir(), 'memtrace-log-'));
}

const NEW_WRITER = 'w_01ARZ3NDEKTSV4RRFFQ69G5FAV';

/** The synchronous half of the log over `dir`, without its thread. */
export function openWriter(
  dir: string,
  options: { segmentBytes?: number; disk?: Disk } = {},
): { writer: SegmentWriter; recovered: Recovered; damage: Damage[]; report: DamageReport } {
  const damage: Damage[] = [];
  const disk = options.disk ?? realDisk;
  const report = new DamageReport(disk, dir, (found) => damage.push(found));
  const recovered = recover(disk, dir, { newWriter: NEW_WRITER, report });
  const limits = { segmentBytes: options.segmentBytes ?? 1 << 20, growBytes: 4096 };
  const writer = new SegmentWriter(disk, { dir, ...limits, nowUs: () => 1e15 }, recovered);
  return { writer, recovered, damage, report };
}

/** One group of records as the log's thread gets it. */
export function group(payloads: string[]): Buffer {
  const bytes = payloads.map((payload) => RECORD_HEADER + Buffer.byteLength(payload));
  const buffer = Buffer.alloc(bytes.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const payload of payloads) at += stageRecord(buffer, at, payload);
  return buffer;
}

/** Opens `dir`, appends each payload as a group of its own, and closes. */
export function appendAll(dir: string, payloads: string[], segmentBytes?: number): void {
  const { writer } = openWriter(dir, segmentBytes === undefined ? {} : { segmentBytes });
  for (const payload of payloads) {
    writer.write(group([payload]));
    writer.sync();
  }
  writer.close();
}

/** No fsync: thousands of recoveries run in a test, and no power fails in it. */
const unsynced: Disk = { ...realDisk, sync: () => undefined, syncDir: () => undefined };

/** Recovers `dir` and reads it: what a start would find. */
export function reopen(dir: string): {
  records: Map<number, string>;
  damage: Damage[];
  next: number;
} {
  const { writer, damage, report } = openWriter(dir, { disk: unsynced });
  const records = readAll(writer, report);
  const next = writer.last + 1;
  writer.close();
  return { records, damage, next };
}

/** Every record of an open writer. */
export function readAll(writer: SegmentWriter, report: DamageReport): Map<number, string> {
  const records = new Map<number, string>();
  let cursor: Parameters<typeof readChunk>[2] | null = {
    after: 0,
    upTo: writer.last,
    segment: 0,
    offset: 0,
  };
  while (cursor !== null) {
    const chunk = readChunk(realDisk, writer.segments, cursor, report);
    const bytes = Buffer.from(chunk.bytes);
    for (const [i, position] of chunk.positions.entries()) {
      records.set(position, bytes.toString('utf8', chunk.ends[i - 1] ?? 0, chunk.ends[i]));
    }
    cursor = chunk.next;
  }
  return records;
}

/** The names of the segments in `dir`, oldest first. */
export function segmentNames(dir: string): string[] {
  return fs
    .readdirSync(dir)
    .filter((name) => name.endsWith('.wal'))
    .sort();
}
