import type { Database } from './database.js';
import { read, write } from './operation.js';

export function settingOperations(db: Database) {
  const find = (name: string): string | null =>
    db.get<{ value: string }>('SELECT value FROM settings WHERE name = ?', name)?.value ?? null;
  return {
    find: read(find),
    /** What is stored afterwards: of two concurrent first values, one wins for both. */
    init: write((name: string, value: string): string => {
      db.run('INSERT INTO settings VALUES (?, ?) ON CONFLICT DO NOTHING', name, value);
      return find(name) ?? value;
    }),
    /** Outside any transaction, where alone it can run. */
    checkpoint: read(() => db.get<{ busy: number }>('PRAGMA wal_checkpoint(TRUNCATE)')?.busy === 0),
    ping: read(() => {
      db.get('SELECT max(version) FROM schema_version');
    }),
  };
}
