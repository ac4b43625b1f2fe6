import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Duck, quotePath, quoteText, SqlError } from './duck.js';

let root: string;
let duck: Duck;

beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'duck-')));
  await mkdir(join(root, 'data[1]*?'));
  await mkdir(join(root, 'data1xy'));
  duck = new Duck({
    memoryLimitBytes: 256 * 2 ** 20,
    threads: 1,
    maxConcurrent: 2,
    directories: [join(root, 'data[1]*?')],
    spillDirectory: join(root, 'data[1]*?', 'spill'),
  });
});
afterAll(async () => {
  await duck.close();
  await rm(root, { recursive: true });
});

const FOREVER = 'SELECT count(*)::DOUBLE FROM range(1000000000000) a WHERE a.range % 7 = 3';

test('values are bound by their kind and cells come back as numbers and texts', async () => {
  const [row] = await duck.query(
    'SELECT $1, $2::DOUBLE + 1, epoch_us($3::TIMESTAMPTZ)::DOUBLE, NULL::VARCHAR',
    ['İς\u{1F600}', 2, { us: 1_795_000_000_000_001 }],
  );
  expect(row).toEqual(['İς\u{1F600}', 3, 1_795_000_000_000_001, null]);
});

test('only the given directories can be reached', async () => {
  await writeFile(join(root, 'secret.json'), '{"a":1}');
  const outside = quotePath(join(root, 'secret.json'));
  for (const sql of [
    `SELECT * FROM read_json(${outside})`,
    `COPY (SELECT 1) TO ${quoteText(join(root, 'out.csv'))}`,
    'SET enable_external_access = true',
    "SET allowed_directories = ['/']",
    'INSTALL httpfs',
  ]) {
    await expect(duck.query(sql, [])).rejects.toBeInstanceOf(SqlError);
  }
});

test('a path is no pattern: its directory is meant, not one that it would match', async () => {
  const path = (folder: string) => join(root, folder, 'x.json');
  await writeFile(path('data1xy'), '{"a":"wrong"}');
  await writeFile(path('data[1]*?'), '{"a":"right"}');
  const sql = `SELECT a FROM read_json(${quotePath(path('data[1]*?'))})`;
  expect(await duck.query(sql, [])).toEqual([['right']]);
});

test('an abort interrupts the statement, rejects with its reason, frees the place', async () => {
  const stop = new AbortController();
  const first = duck.query(FOREVER, [], stop.signal);
  const second = duck.query(FOREVER, [], stop.signal);
  const third = duck.query(FOREVER, [], stop.signal);
  const reason = new Error('enough');
  setTimeout(() => stop.abort(reason), 30);
  for (const query of [first, second, third]) await expect(query).rejects.toBe(reason);
  await expect(duck.query('SELECT 1', [], stop.signal)).rejects.toBe(reason);
  expect(await duck.query('SELECT 1', [])).toEqual([[1]]);
});

test('two queries run at once', async () => {
  const stop = new AbortController();
  const long = duck.query(FOREVER, [], stop.signal);
  expect(await duck.query('SELECT 2', [])).toEqual([[2]]);
  stop.abort(new Error('enough'));
  await expect(long).rejects.toThrow('enough');
});

test('a lack of memory is told from a broken statement', async () => {
  const listed = "SELECT len(list(repeat('x', 1000) || range))::DOUBLE FROM range(1000000)";
  await expect(duck.query(listed, [])).rejects.toMatchObject({ kind: 'resources' });
  await expect(duck.query('SELECT nothing', [])).rejects.toMatchObject({ kind: 'failed' });
});
