import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import BetterSqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { org } from '../fixtures.suite.js';
import { Database } from './database.js';
import { APPLICATION_ID } from './file.js';
import { MIGRATIONS, migrate, schemaVersion } from './migrations.js';
import { openDatabase } from './open.js';
import { openSqliteMetadata } from './sqlite.js';

let dir = '';
let path = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'metadata-open-'));
  path = join(dir, 'memtrace.db');
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Every file of the directory with its mode, change time and content. */
function look(): string[] {
  return readdirSync(dir).map((name) => {
    const { mode, mtimeMs } = statSync(join(dir, name));
    const hash = createHash('sha256').update(readFileSync(join(dir, name)));
    return `${name} ${mode} ${mtimeMs} ${hash.digest('hex')}`;
  });
}

/** A database file made by someone else; left open if `keep`, so that its -wal stays. */
function foreign(sql: string, pragmas: readonly string[] = []): BetterSqlite.Database {
  const db = new BetterSqlite(path);
  for (const pragma of pragmas) db.pragma(pragma);
  db.exec(sql);
  return db;
}

async function refusal(): Promise<string> {
  const before = look();
  const error = await openSqliteMetadata({ path }).catch((reason: unknown) => reason);
  expect(look()).toEqual(before);
  expect(error).toBeInstanceOf(Error);
  return (error as Error).message;
}

describe('files of others are refused untouched, with what to do', () => {
  const original =
    'CREATE TABLE IF NOT EXISTS organizations (id TEXT PRIMARY KEY, name TEXT);' +
    'CREATE TABLE IF NOT EXISTS api_keys (id TEXT PRIMARY KEY, key_hash TEXT)';

  test('the database of the original memtrace, in both journal modes', async () => {
    foreign(original).close();
    expect(await refusal()).toMatch(
      /memtrace\.db: it is the database of the original memtrace.*untouched.*\[auth\] db_path/,
    );
    rmSync(path);
    const live = foreign(original, ['journal_mode = wal']);
    expect(readdirSync(dir)).toContain('memtrace.db-wal');
    expect(await refusal()).toMatch(/SQLite database of another program|original memtrace/);
    live.close();
    expect(await refusal()).toMatch(/the database of the original memtrace/);
  });

  test('another SQLite database', async () => {
    foreign('CREATE TABLE notes (x)', ['application_id = 77']).close();
    expect(await refusal()).toMatch(/another program \(application id 77, tables: notes\)/);
  });

  test('what is no database: text, nothing, a bare header', async () => {
    for (const content of ['hello', '', 'SQLite format 3\0', 'x'.repeat(9_000)]) {
      writeFileSync(path, content);
      expect(await refusal()).toMatch(/it is not a SQLite database\. It was left untouched/);
    }
  });

  test('a directory that is not there', async () => {
    path = join(dir, 'no', 'memtrace.db');
    await expect(openSqliteMetadata({ path })).rejects.toThrow(/no\/memtrace\.db.*ENOENT/);
  });
});

describe('an open file', () => {
  test('is readable by its owner only, with its -wal and -shm, whatever it was before', async () => {
    const first = await openSqliteMetadata({ path });
    await first.orgs.create(org('acme'));
    const modes = () =>
      readdirSync(dir).map((name) => [name, statSync(join(dir, name)).mode & 0o777]);
    expect(modes()).toEqual([
      ['memtrace.db', 0o600],
      ['memtrace.db-shm', 0o600],
      ['memtrace.db-wal', 0o600],
    ]);
    await first.close();
    expect(modes()).toEqual([['memtrace.db', 0o600]]);
  });

  test('has the pragmas that it needs', () => {
    const db = openDatabase(path, { busyTimeoutMs: 7 });
    const names = ['journal_mode', 'synchronous', 'foreign_keys', 'secure_delete', 'busy_timeout'];
    expect(names.map((name) => db.pragma(name))).toEqual(['wal', 2, 1, 1, 7]);
    expect(db.pragma('application_id')).toBe(APPLICATION_ID);
    db.close();
  });

  test('only to read: reads, refuses changes, and must be there', async () => {
    await expect(openSqliteMetadata({ path, readonly: true })).rejects.toThrow(/no such file/);
    const writer = await openSqliteMetadata({ path });
    await writer.orgs.create(org('acme'));
    const reader = await openSqliteMetadata({ path, readonly: true });
    expect(await reader.orgs.list()).toHaveLength(1);
    await expect(reader.orgs.create(org('beta'))).rejects.toThrow(/unavailable/);
    await writer.orgs.create(org('beta'));
    expect(await reader.orgs.list()).toHaveLength(2);
    await reader.close();
    await writer.close();
  });

  test('made by many at once is made once', async () => {
    const all = await Promise.all(Array.from({ length: 6 }, () => openSqliteMetadata({ path })));
    await Promise.all(all.map((each, i) => each.orgs.create(org(`org${i}`))));
    for (const each of all) expect(await each.orgs.list()).toHaveLength(6);
    await Promise.all(all.map((each) => each.close()));
    expect(readdirSync(dir)).toEqual(['memtrace.db']);
  });

  test('reports slow statements', async () => {
    const slow: string[] = [];
    const onSlow = ({ sql, ms }: { sql: string; ms: number }) => slow.push(`${ms >= 0} ${sql}`);
    const metadata = await openSqliteMetadata({ path, slowMs: 0, onSlow });
    await metadata.orgs.create(org('acme'));
    await metadata.close();
    expect(slow).toContain('true COMMIT');
  });
});

describe('migrations', () => {
  const steps = [...MIGRATIONS, 'ALTER TABLE orgs ADD COLUMN extra TEXT', 'CREATE TABLE z (x)'];

  test('lead step by step to the newest version and keep what is there', async () => {
    const metadata = await openSqliteMetadata({ path });
    await metadata.orgs.create(org('acme'));
    await metadata.close();
    const db = new Database(path);
    migrate(db, steps);
    migrate(db, steps);
    expect(schemaVersion(db)).toBe(steps.length);
    expect(db.all('SELECT version FROM schema_version')).toHaveLength(steps.length);
    expect(db.get('SELECT name, extra FROM orgs')).toEqual({ name: 'acme', extra: null });
    db.close();
  });

  test('put streams of before in order, and open erasures that did not reach them', () => {
    const db = new Database(path);
    migrate(
      db,
      MIGRATIONS.slice(
        0,
        MIGRATIONS.findIndex((step) => step.includes('TABLE epochs')),
      ),
    );
    const writer = `w_${'0'.repeat(26)}`;
    for (const stream of [`${writer}.10`, `${writer}.9`, `w_${'1'.repeat(26)}.1`]) {
      db.run('INSERT INTO positions VALUES (?, 7)', stream);
    }
    db.run("INSERT INTO deletions VALUES ('era_1', 'o', '{}', 's', 1, 1, 1, 'done', 1)");
    migrate(db);
    expect(
      db
        .all('SELECT stream FROM epochs ORDER BY seq')
        .map((row) => Object.values(row as object)[0]),
    ).toEqual(['s', `${writer}.9`, `${writer}.10`, `w_${'1'.repeat(26)}.1`]);
    expect(db.get('SELECT state, done_us FROM deletions')).toEqual({
      state: 'accepted',
      done_us: null,
    });
    db.close();
  });

  test('that fail change nothing and say which', () => {
    const db = openDatabase(path, {});
    const broken = [...MIGRATIONS, 'CREATE TABLE ok (x); CREATE TABLE orgs (x)'];
    const failed = new RegExp(`schema version ${broken.length} failed, nothing was changed`);
    expect(() => migrate(db, broken)).toThrow(failed);
    expect(schemaVersion(db)).toBe(MIGRATIONS.length);
    expect(db.get("SELECT 1 FROM sqlite_schema WHERE name = 'ok'")).toBeUndefined();
    db.close();
  });

  test('of a newer program are refused, with both versions named', async () => {
    const db = openDatabase(path, {});
    migrate(db, [...MIGRATIONS, 'CREATE TABLE z (x)']);
    db.close();
    const newer = MIGRATIONS.length + 1;
    for (const readonly of [false, true]) {
      await expect(openSqliteMetadata({ path, readonly })).rejects.toThrow(
        `schema version ${newer}, and this memtrace knows versions up to ${MIGRATIONS.length}`,
      );
    }
  });
});
