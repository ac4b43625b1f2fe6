import { UlidFactory } from '../../base/ulid.js';
import { spawnWorker } from '../../base/worker.js';
import type { Damage } from './damage.js';
import type { FaultPlan } from './faults.js';
import type { Report, Stats, WorkerInput } from './protocol.js';
import { SegmentLog, type SegmentLogEvents } from './segment-log.js';

export interface SegmentLogOptions extends SegmentLogEvents {
  /** Created if absent. One process at a time: the caller holds the lock of the data directory. */
  dir: string;
  /** A segment is closed before it grows beyond this (default 64 MiB); one large group may. */
  segmentBytes?: number;
  /** Bytes that may wait for their acknowledgement before append is refused (default 64 MiB). */
  maxPendingBytes?: number;
  /**
   * `fsync` (default): resolved once durable. `memory`: once written; an fsync follows within a
   * second, and until then a power loss, but not a kill -9, may lose the record.
   */
  ack?: 'fsync' | 'memory';
  /** A new ULID, for the name of a new stream. */
  newUlid?: () => string;
  /** Milliseconds between two looks for space on a full disk (default 250). */
  probeMs?: number;
  /** Bytes that the newest segment grows by at a time (default 1 MiB). */
  growBytes?: number;
  /** Faults for tests. */
  disk?: FaultPlan;
}

const MIB = 1024 * 1024;

/**
 * Opens the log in a directory: starts its thread and waits for the recovery, which checks every
 * record that has not been released. Rejects if the directory or a segment cannot be read or is of
 * a newer format; damage inside of one does not, it is told through `onDamage`.
 */
export async function openSegmentLog(options: SegmentLogOptions): Promise<SegmentLog> {
  const newUlid = options.newUlid ?? (() => new UlidFactory().next(Date.now()));
  const workerData: WorkerInput = {
    dir: options.dir,
    newWriter: `w_${newUlid()}`,
    segmentBytes: options.segmentBytes ?? 64 * MIB,
    growBytes: options.growBytes ?? MIB,
    ack: options.ack ?? 'fsync',
    faults: options.disk ?? null,
  };
  const worker = spawnWorker(import.meta.url, './wal.worker', { workerData, name: 'wal' });
  const { onSync, onFailed, onDamage } = options;
  const maxPendingBytes = options.maxPendingBytes ?? 64 * MIB;
  const limits = { onSync, onFailed, onDamage, maxPendingBytes, probeMs: options.probeMs ?? 250 };
  return new SegmentLog(worker, await opened(worker), limits);
}

type Opened = { stream: string; stats: Stats; damage: Damage[] };

/** Collects the damage that the recovery tells until it says that the log is open. */
function opened(worker: ReturnType<typeof spawnWorker>): Promise<Opened> {
  const damage: Damage[] = [];
  return new Promise((resolve, reject) => {
    const settle = (outcome: () => void): void => {
      worker.off('message', hear).off('error', reject).off('exit', ended);
      outcome();
    };
    const hear = (report: Report): void => {
      if (report.type === 'damaged') damage.push(report.damage);
      const { type } = report;
      if (type === 'opened') settle(() => resolve({ ...report, damage }));
      if (type === 'not_opened') settle(() => reject(notOpened(report.reason.message)));
    };
    const ended = (): void => reject(notOpened('its thread ended'));
    worker.on('message', hear).on('error', reject).on('exit', ended);
  });
}

function notOpened(why: string): Error {
  return new Error(`cannot open the write-ahead log: ${why}`);
}
