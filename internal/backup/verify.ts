import type { Objects } from '../objects/objects.js';
import type { BackupProgress } from './create.js';
import { databaseKey, type Manifest, objectKey } from './manifest.js';
import type { Mover } from './mover.js';
import { inParallel } from './parallel.js';
import { findBackup } from './target.js';

export interface BackupFinding {
  key: string;
  message: string;
}

export interface BackupVerifyReport {
  id: string;
  createdUs: number;
  files: number;
  bytes: number;
  findings: BackupFinding[];
}

const READS_AT_ONCE = 4;

/**
 * Reads everything that a backup is made of and compares it with its manifest. Rejects if there is
 * no such backup or its manifest is damaged.
 */
export async function verifyBackup(
  parts: { objects: Objects; mover: Mover },
  which: string,
  onProgress: (progress: BackupProgress) => void = () => undefined,
): Promise<BackupVerifyReport> {
  const manifest = await findBackup(parts.objects, which);
  const { id, createdUs, totals } = manifest;
  const findings: BackupFinding[] = manifest.missing.map(({ key, reason }) => ({
    key,
    message: `not in the backup: at its making ${reason}`,
  }));
  const objects = objectsOf(manifest);
  const ofBytes = objects.reduce((sum, { bytes }) => sum + bytes, 0);
  const progress = { files: 0, ofFiles: objects.length, bytes: 0, ofBytes };
  await inParallel(objects, READS_AT_ONCE, async (object) => {
    const found = await parts.mover.check(object.key);
    if (found === null) findings.push({ key: object.key, message: 'it is missing' });
    else if (found.sha256 !== object.sha256) {
      findings.push({ key: object.key, message: `it is damaged (${found.bytes} bytes)` });
    }
    progress.files += 1;
    progress.bytes += object.bytes;
    onProgress({ step: 'verify', ...progress });
  });
  findings.sort((a, b) => (a.key < b.key ? -1 : 1));
  return { id, createdUs, files: totals.files, bytes: totals.bytes, findings };
}

function objectsOf({ id, database, files }: Manifest) {
  const contents = files.map(({ sha256, bytes }) => ({ key: objectKey(sha256), sha256, bytes }));
  return [{ key: databaseKey(id), ...database }, ...contents];
}
