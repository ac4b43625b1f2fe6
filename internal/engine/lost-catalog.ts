import type { Log } from '../log/log.js';

/**
 * Refuses a metadata store that is older than what the log has already let go of: the events in
 * between are in files that its catalog does not name, and serving without them would lose them in
 * silence. Damage of the log that was reported is another matter, and no reason to stop.
 */
export async function refuseLostCatalog(log: Log, position: number): Promise<void> {
  if (log.health.damagedRecords > 0 || log.durable <= position) return;
  for await (const record of log.read(position)) {
    if (record.position === position + 1) return;
    break;
  }
  throw new Error(
    `the catalog in memtrace.db ends at log position ${position}, but the log begins later: ` +
      'the database is lost or older than the files in events/; put the right one back ' +
      '([auth] db_path), or restore a backup',
  );
}
