import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Database } from './database.js';
import { openDatabase } from './open.js';
import { type Operation, read, write } from './operation.js';
import { type Call, Scheduler } from './scheduler.js';
import type { Reply } from './wire.js';

let dir = '';
let db: Database;
let other: Database;
let nowMs = 0;
let commits = 0;
let rounds: { task: () => void; ms: number }[] = [];
let replies: Reply[] = [];
let scheduler: Scheduler;
let lastId = 0;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'metadata-scheduler-'));
  const path = join(dir, 'memtrace.db');
  const onSlow = ({ sql }: { sql: string }) => {
    if (sql === 'COMMIT') commits += 1;
  };
  db = openDatabase(path, { busyTimeoutMs: 0, slowMs: 0, onSlow });
  db.exec('CREATE TABLE t (x INTEGER PRIMARY KEY, fill TEXT)');
  other = new Database(path, { busyTimeoutMs: 0 });
  nowMs = 0;
  commits = 0;
  lastId = 0;
  rounds = [];
  replies = [];
  scheduler = new Scheduler({
    db,
    reply: (batch) => replies.push(...batch),
    monoMs: () => nowMs,
    later: (task, ms) => rounds.push({ task, ms }),
  });
});
afterEach(() => {
  db.close();
  other.close();
  rmSync(dir, { recursive: true });
});

function call<A extends unknown[]>(operation: Operation<A, unknown>, ...args: A): Call {
  lastId += 1;
  const untyped = operation as unknown as Operation<unknown[], unknown>;
  return { id: lastId, operation: untyped, args, deadlineMs: nowMs + 100 };
}

const add = write((x: number) => db.run('INSERT INTO t VALUES (?, ?)', x, ''));
const count = read(() => db.get<{ n: number }>('SELECT count(*) AS n FROM t')?.n);

/** Runs what is due, and moves the clock if only timers are left. */
function step(): boolean {
  const due = rounds.shift();
  if (!due) return false;
  nowMs += due.ms;
  due.task();
  return true;
}

function drain(): void {
  while (step());
}

const codes = () =>
  replies.map(([id, , error]) => [id, error?.fault?.code ?? error?.message ?? 'ok']);

test('writes that wait together share one commit, and each keeps its own result', () => {
  const failing = write((x: number) => {
    db.run('INSERT INTO t VALUES (?, ?)', x, '');
    throw new Error('second thoughts');
  });
  scheduler.submit([call(add, 1), call(failing, 2), call(add, 1), call(add, 3)]);
  drain();
  expect(commits).toBe(1);
  expect(codes()[0]).toEqual([1, 'ok']);
  expect(codes()[1]).toEqual([2, 'second thoughts']);
  expect(codes()[2]?.[1]).toMatch(/UNIQUE constraint failed.*INSERT INTO t/);
  expect(codes()[3]).toEqual([4, 'ok']);
  expect(other.all('SELECT x FROM t')).toEqual([{ x: 1 }, { x: 3 }]);
});

test('nothing is answered before the commit, and reads go first', () => {
  const seen: number[] = [];
  const spy = write((x: number) => {
    add.run(x);
    seen.push(replies.length);
  });
  scheduler.submit([call(spy, 1), call(count), call(spy, 2)]);
  drain();
  expect(seen).toEqual([1, 1]);
  expect(replies[0]).toEqual([2, 0]);
  expect(replies.map(([id]) => id)).toEqual([2, 1, 3]);
});

test('a long row of writes is cut, and reads are served in between', () => {
  const slow = write((x: number) => {
    nowMs += 4;
    return add.run(x);
  });
  scheduler.submit(Array.from({ length: 9 }, (_, i) => call(slow, i)));
  step();
  expect(replies.map(([id]) => id)).toEqual([1, 2, 3]);
  scheduler.submit([call(count)]);
  step();
  expect(replies[3]).toEqual([10, 3]);
  drain();
  expect(commits).toBe(3);
  expect(replies).toHaveLength(10);
});

test('while another process writes, reads go on and writes wait for their turn', () => {
  other.begin();
  scheduler.submit([call(add, 1)]);
  step();
  scheduler.submit([call(count)]);
  for (let i = 0; i < 6; i++) step();
  expect(replies).toEqual([[2, 0]]);
  other.rollback();
  drain();
  expect(codes()).toEqual([
    [2, 'ok'],
    [1, 'ok'],
  ]);
});

test('a lock held for too long is store_unavailable with a time to retry, never "not found"', () => {
  other.begin();
  scheduler.submit([call(add, 1)]);
  drain();
  expect(nowMs).toBeGreaterThanOrEqual(100);
  const fault = replies[0]?.[2]?.fault;
  expect([fault?.code, fault?.details.retryAfterS]).toEqual(['store_unavailable', 1]);
  expect(String(fault?.details.cause)).toMatch(/SQLITE_BUSY.*BEGIN IMMEDIATE/);
  other.rollback();
  scheduler.submit([call(add, 1)]);
  drain();
  expect(codes()[1]).toEqual([2, 'ok']);
});

test('a full disk is disk_full for the writes that it hit; reads go on, and it recovers', () => {
  const pages = Number(db.pragma('page_count'));
  db.pragma('max_page_count', pages + 2);
  const fill = write((x: number, bytes: number) =>
    db.run('INSERT INTO t VALUES (?, ?)', x, 'x'.repeat(bytes)),
  );
  scheduler.submit([call(fill, 1, 10), call(fill, 2, 100_000), call(count)]);
  drain();
  expect(codes().find(([id]) => id === 2)).toEqual([2, 'disk_full']);
  expect(codes().find(([id]) => id === 3)).toEqual([3, 'ok']);
  expect(db.inTransaction).toBe(false);
  const stored = Number(count.run());
  expect(stored).toBe(codes().filter(([id, code]) => id === 1 && code === 'ok').length);
  db.pragma('max_page_count', 1_000_000);
  scheduler.submit([call(fill, 3, 100_000)]);
  drain();
  expect(codes().at(-1)).toEqual([4, 'ok']);
});
