import { spawnWorker } from '../../base/worker.js';
import { Fault } from '../../fault/fault.js';
import type { SnapshotInput } from './snapshot.worker.js';

/**
 * Copies the database at `from` into a new file, durably, as it is at one moment. In a thread and
 * over a connection of its own, so that calls are served meanwhile. Rejects with
 * `store_unavailable`.
 */
export async function copySnapshot(from: string, to: string): Promise<void> {
  const workerData: SnapshotInput = { from, to };
  const worker = spawnWorker(import.meta.url, './snapshot.worker', {
    workerData,
    name: 'snapshot',
    execArgv: [],
  });
  const reason = await new Promise<string | null>((resolve) => {
    worker.once('message', resolve);
    worker.once('error', (error) => resolve(error.message));
    worker.once('exit', (code) => resolve(`its thread ended (${code})`));
  });
  if (reason === null) return;
  const cause = new Error(`cannot copy ${from} to ${to}: ${reason}`);
  throw new Fault('store_unavailable', 'the metadata database cannot be copied', { cause });
}
