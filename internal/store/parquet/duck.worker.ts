import { parentPort, workerData } from 'node:worker_threads';
import { known } from '../../base/assert.js';
import { lowerPriority } from '../../base/priority.js';
import { SqlError, type SqlErrorKind } from './duck.js';
import { SteppedDuck } from './duck-steps.js';
import type { BackgroundInput, BackgroundReport, BackgroundStatement } from './duck-thread.js';

/** A thread that runs statements one after another, at a low priority. */
const port = known(parentPort, 'parent of the background thread');
const input = workerData as BackgroundInput;
const stop = new Int32Array(input.stop);

/** Rows of one message: reading a larger one would hold the other side's event loop. */
const ROWS_PER_MESSAGE = 1_000;

async function answer(duck: Promise<SteppedDuck>, statement: BackgroundStatement): Promise<void> {
  const { ticket, sql, values } = statement;
  const say = (report: BackgroundReport) => port.postMessage(report);
  try {
    const rows = await (await duck).run(sql, values);
    let at = 0;
    for (; at + ROWS_PER_MESSAGE < rows.length; at += ROWS_PER_MESSAGE) {
      say({ ticket, rows: rows.slice(at, at + ROWS_PER_MESSAGE), more: true });
    }
    say({ ticket, rows: rows.slice(at), more: false });
  } catch (error) {
    const kind: SqlErrorKind = error instanceof SqlError ? error.kind : 'resources';
    const message = error instanceof Error ? error.message : String(error);
    say({ ticket, message, kind });
  }
}

lowerPriority(input.nice);
const opening = SteppedDuck.open(input.options, () => Atomics.load(stop, 0) !== 0);
opening.catch(() => undefined);
let last: Promise<void> = Promise.resolve();
port.on('message', (statement: BackgroundStatement | 'close') => {
  last = last.then(async () => {
    if (statement !== 'close') return answer(opening, statement);
    await opening.then(
      (duck) => duck.close(),
      () => undefined,
    );
    port.close();
  });
});
