import { parentPort, workerData } from 'node:worker_threads';
import { known } from '../../base/assert.js';
import type { Database, SlowStatement } from './database.js';
import { encodeError } from './faults.js';
import { openDatabase } from './open.js';
import type { Operation } from './operation.js';
import { openOperations } from './operations.js';
import { type Call, Scheduler, unknownOperation } from './scheduler.js';
import type { CallMessage, Request, Response } from './wire.js';

/**
 * The thread that owns the connection. It never waits but for the disk: a lock held by another
 * process is tried again between reads (scheduler.ts).
 */
export interface WorkerSettings {
  path: string;
  readonly: boolean;
  slowMs: number | null;
  /** How long a call waits for a lock held by another process. */
  patienceMs: number;
  stagingIdleMs: number;
}

/** Within one try SQLite itself sleeps at most so long: a write of a command is over in less. */
const TRY_MS = 10;

type Nouns = Record<string, Record<string, Operation<unknown[], unknown>> | undefined>;

const port = known(parentPort, 'parent of the metadata worker');
const settings = workerData as WorkerSettings;
const monoMs = () => performance.now();
const post = (response: Response) => port.postMessage(response);

function open(): Database {
  return openDatabase(settings.path, {
    readonly: settings.readonly,
    busyTimeoutMs: Math.min(TRY_MS, settings.patienceMs),
    slowMs: settings.slowMs ?? Number.POSITIVE_INFINITY,
    onSlow: (slow: SlowStatement) => post({ slow }),
  });
}

function later(task: () => void, ms: number): void {
  if (ms === 0) setImmediate(task);
  else setTimeout(task, ms);
}

function serve(db: Database): void {
  const { stagingIdleMs, patienceMs } = settings;
  const operations = openOperations(db, { stagingIdleMs, monoMs }) as unknown as Nouns;
  const scheduler = new Scheduler({ db, reply: (replies) => post({ replies }), monoMs, later });

  const toCall = ([id, noun, verb, args]: CallMessage): Call | null => {
    const operation = operations[noun]?.[verb];
    if (operation) return { id, operation, args, deadlineMs: monoMs() + patienceMs };
    post({ replies: [[id, undefined, encodeError(unknownOperation(noun, verb))]] });
    return null;
  };
  port.on('message', (request: Request) => {
    if ('close' in request) closeWhenIdle(db, scheduler);
    else scheduler.submit(request.calls.map(toCall).filter((call) => call !== null));
  });
}

function closeWhenIdle(db: Database, scheduler: Scheduler): void {
  if (!scheduler.idle) {
    setTimeout(() => closeWhenIdle(db, scheduler), 1);
    return;
  }
  try {
    db.close();
    post({ closed: null });
  } catch (error) {
    post({ closed: encodeError(error) });
  }
  port.close();
}

try {
  const db = open();
  serve(db);
  post({ opened: null });
} catch (error) {
  post({ opened: encodeError(error) });
  port.close();
}
