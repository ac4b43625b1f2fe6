import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ChangeKind } from '../changes.js';
import { changeOperations } from './changes.js';
import { Database } from './database.js';
import { migrate } from './migrations.js';

/** Two databases: changes of one are carried to the other. */
let dir: string;
let here: Database;
let there: Database;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'memtrace-changes-'));
  [here, there] = ['here', 'there'].map((name) => {
    const db = new Database(join(dir, `${name}.db`));
    db.pragma('synchronous', 0);
    db.pragma('foreign_keys', 1);
    migrate(db);
    return db;
  }) as [Database, Database];
});

afterEach(() => {
  here.close();
  there.close();
  rmSync(dir, { recursive: true });
});

const changesOf = (db: Database, max?: number) => changeOperations(db, max);

function org(db: Database, id: string, name = id): void {
  db.run('INSERT INTO orgs (id, name, created_us) VALUES (?, ?, 1)', id, name);
}

function key(db: Database, id: string, bootstrap = 0): void {
  db.run(
    `INSERT INTO keys (id, org_id, name, prefix, permissions, digest, created_us, bootstrap)
       VALUES (?, 'o', 'k', 'p', 'read', ?, 1, ?)`,
    id,
    `digest of ${id}`,
    bootstrap,
  );
}

function session(db: Database, id: string): void {
  const sql = `INSERT INTO sessions (org_id, id, agent_id, closed, metadata_json, created_us,
    updated_us) VALUES ('o', ?, 'a', 0, '', 1, 1)`;
  db.run(sql, id);
}

/** Takes all and applies it to the other one; what was taken. */
function carry(): string[] {
  const { changes, through } = changesOf(here).take.run(1_000);
  changesOf(here).sent.run(through);
  expect(changesOf(there).apply.run(changes)).toEqual([]);
  return changes.map(({ kind, id }) => `${kind} ${id}`);
}

const tables: readonly ChangeKind[] = ['orgs', 'keys', 'agents', 'sessions'];

function expectSame(): void {
  for (const table of [...tables, 'session_counts']) {
    expect(there.all(`SELECT * FROM ${table}`)).toEqual(here.all(`SELECT * FROM ${table}`));
  }
}

test('nothing is noted without a target', () => {
  org(here, 'o');
  expect(changesOf(here).take.run(10).changes).toEqual([]);
});

test('every change of a control table is carried, each row once', () => {
  changesOf(here).track.run(true);
  org(here, 'o');
  key(here, 'k1', 1);
  session(here, 's1');
  session(here, 's2');
  here.run("UPDATE sessions SET closed = 1, closed_us = 9, updated_us = 9 WHERE id = 's1'");
  expect(carry().sort()).toEqual(['keys k1', 'orgs o', 'sessions s1', 'sessions s2']);
  expectSame();
  // A bootstrap key that is replaced, and touched again after its successor came.
  here.run("UPDATE keys SET bootstrap = 0, revoked_us = 5 WHERE id = 'k1'");
  key(here, 'k2', 1);
  here.run("UPDATE keys SET name = 'old' WHERE id = 'k1'");
  here.run("DELETE FROM sessions WHERE id = 's2'");
  org(here, 'p', 'taken');
  here.run("UPDATE orgs SET deleted_us = 7 WHERE id = 'p'");
  org(here, 'q', 'taken');
  here.run("UPDATE orgs SET retention_days = 3 WHERE id = 'p'");
  carry();
  expectSame();
  // The last use of a key is no change that anybody would miss.
  here.run("UPDATE keys SET last_used_us = 5 WHERE id = 'k2'");
  expect(carry()).toEqual([]);
});

test('the rows of a deleted organization go without a note each: it says enough', () => {
  changesOf(here).track.run(true);
  org(here, 'o');
  for (const id of ['a', 'b', 'c']) session(here, id);
  carry();
  here.run("UPDATE orgs SET deleted_us = 5 WHERE id = 'o'");
  here.run("DELETE FROM sessions WHERE org_id = 'o'");
  expect(carry()).toEqual(['orgs o']);
});

test('a row that changes between take and sent is taken again', () => {
  changesOf(here).track.run(true);
  org(here, 'o');
  session(here, 's');
  const { through } = changesOf(here).take.run(10);
  here.run("UPDATE sessions SET metadata_json = '{}' WHERE id = 's'");
  changesOf(here).sent.run(through);
  expect(
    changesOf(here)
      .take.run(10)
      .changes.map(({ id }) => id),
  ).toEqual(['s']);
});

test('what was not noted leaves a gap in the numbers', () => {
  const changes = changesOf(here, 3);
  changes.track.run(true);
  const before = changes.sequence.run();
  org(here, 'o');
  for (const id of ['a', 'b', 'c', 'd']) session(here, id);
  expect([changes.trim.run(), changes.trim.run()]).toEqual([true, false]);
  session(here, 'e');
  const { after, changes: taken } = changes.take.run(10);
  expect(taken.map(({ id }) => id)).toEqual(['e']);
  expect(after).toBeGreaterThan(before + 4);
  changes.track.run(false);
  session(here, 'f');
  changes.track.run(true);
  expect(changes.take.run(10)).toMatchObject({ changes: [] });
  expect(changes.take.run(10).after).toBeGreaterThan(after + 1);
});

test('what refers to a missing organization is told, and the others are applied', () => {
  changesOf(here).track.run(true);
  org(here, 'o');
  key(here, 'k');
  org(here, 'p');
  const { changes } = changesOf(here).take.run(10);
  const failed = changesOf(there).apply.run(changes.filter(({ id }) => id !== 'o'));
  expect(failed).toMatchObject([{ change: { id: 'k' } }]);
  expect(there.all('SELECT id FROM orgs')).toEqual([{ id: 'p' }]);
});

test('revocations stay for ever', () => {
  for (const db of [here, there]) {
    org(db, 'o');
    key(db, 'k');
  }
  here.run('UPDATE keys SET revoked_us = 5');
  changesOf(there).remove.run(changesOf(here).gone.run());
  expect(there.all('SELECT id, revoked_us FROM keys')).toEqual([{ id: 'k', revoked_us: 5 }]);
  changesOf(there).remove.run([{ kind: 'org', id: 'o', atUs: 6 }]);
  expect(there.all('SELECT deleted_us, purged FROM orgs')).toEqual([{ deleted_us: 6, purged: 0 }]);
});
