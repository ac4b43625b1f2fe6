import { closeSync, fsyncSync, openSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { known } from '../../base/assert.js';
import { Database } from './database.js';

/** Copies a database that others write to. Posts null once the copy is durable, or the reason. */
export interface SnapshotInput {
  from: string;
  /** Not there yet. */
  to: string;
}

const port = known(parentPort, 'parent of the snapshot worker');
const { from, to } = workerData as SnapshotInput;

async function copy(): Promise<void> {
  const db = new Database(from, { readonly: true });
  try {
    // Readable for its owner only, and never one that is there.
    closeSync(openSync(to, 'wx', 0o600));
    await db.copyTo(to);
  } finally {
    db.close();
  }
  const fd = openSync(to, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

copy().then(
  () => port.postMessage(null),
  (error: unknown) => port.postMessage(error instanceof Error ? error.message : String(error)),
);
