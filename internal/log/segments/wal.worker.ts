import { parentPort, workerData } from 'node:worker_threads';
import { known } from '../../base/assert.js';
import { DamageReport } from './damage.js';
import { realDisk } from './disk.js';
import { withFaults } from './faults.js';
import { streamName } from './identity.js';
import type { Call, Command, Reason, Report, Stats, Synced, WorkerInput } from './protocol.js';
import { type Chunk, readChunk } from './reader.js';
import { recover } from './recover.js';
import { LogFailed, NoRoom, SegmentWriter } from './writer.js';

/** The log's own thread: it alone touches the files, one command after another. */
const port = known(parentPort, 'parent of the log thread');
const input = workerData as WorkerInput;
const disk = input.faults === null ? realDisk : withFaults(realDisk, input.faults);
const damage = new DamageReport(disk, input.dir, (found) =>
  tell({ type: 'damaged', damage: found }),
);

/** The longest that a record acknowledged without an fsync waits for one. */
const MEMORY_SYNC_MS = 1000;

let unsynced = { records: 0, bytes: 0 };
let syncTimer: NodeJS.Timeout | null = null;

function tell(report: Report, transfer: ArrayBuffer[] = []): void {
  port.postMessage(report, transfer);
}

function open(): SegmentWriter {
  const recovered = recover(disk, input.dir, { newWriter: input.newWriter, report: damage });
  const { dir, segmentBytes, growBytes } = input;
  const nowUs = (): number => Date.now() * 1000;
  return new SegmentWriter(disk, { dir, segmentBytes, growBytes, nowUs }, recovered);
}

function start(): void {
  try {
    const writer = open();
    port.on('message', (command: Command) => handle(writer, command));
    tell({ type: 'opened', stream: streamName(writer.identity), stats: stats(writer) });
  } catch (error) {
    tell({ type: 'not_opened', reason: reason(error) });
  }
}

function handle(writer: SegmentWriter, command: Command): void {
  if (command.type === 'commit') commit(writer, command);
  else if (command.type === 'probe') probe(writer);
  else call(writer, command.id, command.call);
}

function commit(writer: SegmentWriter, command: Command & { type: 'commit' }): void {
  const { buffer, used, records } = command;
  try {
    const first = writer.write(Buffer.from(buffer, 0, used));
    unsynced = { records: unsynced.records + records, bytes: unsynced.bytes + used };
    const synced = input.ack === 'fsync' ? sync(writer) : null;
    if (synced === null) syncTimer ??= setTimeout(syncLater, MEMORY_SYNC_MS, writer);
    tell({ type: 'committed', buffer, first, stats: stats(writer), synced }, [buffer]);
  } catch (error) {
    const refused: Report = {
      type: 'refused',
      buffer,
      reason: reason(error),
      stats: stats(writer),
    };
    if (error instanceof NoRoom) tell(refused, [buffer]);
    else fail(error);
  }
}

function sync(writer: SegmentWriter): Synced {
  const before = performance.now();
  writer.sync();
  const synced = { ms: performance.now() - before, ...unsynced };
  unsynced = { records: 0, bytes: 0 };
  return synced;
}

function syncLater(writer: SegmentWriter): void {
  syncTimer = null;
  try {
    tell({ type: 'synced', synced: sync(writer) });
  } catch (error) {
    fail(error);
  }
}

function probe(writer: SegmentWriter): void {
  try {
    writer.probe();
    tell({ type: 'probed', room: true, stats: stats(writer) });
  } catch (error) {
    if (error instanceof NoRoom) tell({ type: 'probed', room: false, stats: stats(writer) });
    else fail(error);
  }
}

function call(writer: SegmentWriter, id: number, request: Call): void {
  try {
    const chunk = perform(writer, request);
    const transfer = chunk === undefined ? [] : [chunk.bytes.buffer];
    tell({ type: 'returned', id, stats: stats(writer), chunk }, transfer);
  } catch (error) {
    if (error instanceof LogFailed) fail(error);
    tell({ type: 'returned', id, stats: stats(writer), reason: reason(error) });
  }
  if (request.name === 'close') port.close();
}

function perform(writer: SegmentWriter, request: Call): Chunk | undefined {
  if (request.name === 'read') {
    return readChunk(disk, writer.segments, request.cursor, damage);
  }
  if (request.name === 'release') writer.release(request.position);
  else if (request.name === 'rotate') writer.rotate();
  else finish(writer);
  return undefined;
}

function finish(writer: SegmentWriter): void {
  if (syncTimer !== null) clearTimeout(syncTimer);
  syncTimer = null;
  if (unsynced.records > 0) tell({ type: 'synced', synced: sync(writer) });
  writer.close();
}

/** Not only LogFailed: whatever breaks a commit leaves the file in doubt. */
function fail(error: unknown): void {
  tell({ type: 'failed', reason: reason(error) });
}

function stats(writer: SegmentWriter): Stats {
  return { bytes: writer.bytes, segments: writer.segments.length, last: writer.last };
}

function reason(error: unknown): Reason {
  return { message: error instanceof Error ? error.message : String(error) };
}

start();
