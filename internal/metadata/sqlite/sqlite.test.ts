import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { metadataSuite } from '../metadata.suite.js';
import { openSqliteMetadata } from './sqlite.js';

metadataSuite('SQLite', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'metadata-'));
  return {
    open: () => openSqliteMetadata({ path: join(dir, 'memtrace.db') }),
    remove: async () => rmSync(dir, { recursive: true }),
  };
});

test('a snapshot is all of it at one moment, while others write', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'metadata-'));
  const metadata = await openSqliteMetadata({ path: join(dir, 'memtrace.db') });
  const path = join(dir, 'copy.db');
  try {
    const names = Array.from({ length: 300 }, (_, i) => `name-${i}`);
    const store = async () => {
      for (const name of names) await metadata.setting(name, 'first');
    };
    await metadata.setting('before', 'first');
    const stored = store();
    await metadata.snapshot(path);
    await stored;
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const copy = await openSqliteMetadata({ path });
    expect(await copy.setting('before', 'second')).toBe('first');
    // Stored one after another: the copy has some of the first, and no gap.
    const values = await Promise.all(names.map((name) => copy.setting(name, 'second')));
    const held = values.filter((value) => value === 'first').length;
    expect(values.slice(0, held)).toEqual(Array(held).fill('first'));
    await copy.close();
    const again = metadata.snapshot(path);
    await expect(again).rejects.toMatchObject({ code: 'store_unavailable' });
  } finally {
    await metadata.close();
    rmSync(dir, { recursive: true });
  }
});
