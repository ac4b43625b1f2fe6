import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { metadataSuite } from '../metadata.suite.js';
import { openSqliteMetadata } from './sqlite.js';

metadataSuite('SQLite', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'metadata-'));
  return {
    open: () => openSqliteMetadata({ path: join(dir, 'memtrace.db') }),
    remove: async () => rmSync(dir, { recursive: true }),
  };
});
