import type { Catalog, Partition } from '../../metadata/metadata.js';
import type { LocalObjects } from '../../objects/local.js';
import type { FileContent, Inspection } from './inspect.js';
import { InspectError, Inspector } from './inspector.js';

export interface VerifyOptions {
  /** Decodes every value of every row, not only the footers. About 100,000 rows a second. */
  deep?: boolean;
  onProgress?: (progress: VerifyProgress) => void;
  signal?: AbortSignal;
}

export interface VerifyProgress {
  files: number;
  ofFiles: number;
  bytes: number;
  ofBytes: number;
}

export interface Finding {
  /** `damage`: rows are lost or wrong. `warning`: nothing of an answer depends on it. */
  severity: 'damage' | 'warning';
  key: string;
  partitionId: string | null;
  message: string;
}

export interface VerifyReport {
  files: number;
  rows: number;
  bytes: number;
  findings: Finding[];
}

export interface VerifyParts {
  catalog: Catalog;
  objects: LocalObjects;
  /** Keys of files under way to the catalog. */
  inFlight: ReadonlySet<string>;
}

/**
 * Re-reads every file of the catalog with the second reader and compares checksum, size, rows and
 * times. Only looks: nothing is quarantined or removed. Rejects with the signal's reason.
 */
export async function verify(
  parts: VerifyParts,
  { deep = false, onProgress, signal }: VerifyOptions,
): Promise<VerifyReport> {
  // A thread of its own: a long file must not keep flushes and reads waiting.
  const inspector = new Inspector();
  try {
    // Listed before the catalog is asked: what is flushed in between is in both or only there.
    const onDisk = await listKeys(parts.objects);
    const partitions = await parts.catalog.partitions();
    const report: VerifyReport = { files: 0, rows: 0, bytes: 0, findings: [] };
    const ofBytes = partitions.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const partition of partitions) {
      signal?.throwIfAborted();
      const path = parts.objects.path(partition.key);
      const inspected = await inspector.inspect(path, deep ? 'deep' : 'footer').catch(asError);
      if (!(await stillNamed(parts.catalog, partition, inspected))) continue;
      report.findings.push(...judge(partition, inspected));
      report.files += 1;
      report.rows += partition.rows;
      report.bytes += partition.bytes;
      const { files, bytes } = report;
      onProgress?.({ files, ofFiles: partitions.length, bytes, ofBytes });
    }
    const replaced = await parts.catalog.garbage();
    const named = new Set([...partitions.map(({ key }) => key), ...replaced]);
    for (const key of onDisk) {
      if (!named.has(key) && !parts.inFlight.has(key)) report.findings.push(orphan(key));
    }
    return report;
  } finally {
    await inspector.close();
  }
}

async function listKeys(objects: LocalObjects): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of objects.list('events')) keys.push(key);
  return keys;
}

function asError(error: unknown): InspectError {
  return error instanceof InspectError ? error : new InspectError(String(error), '');
}

/** A file that is missing because it was replaced since the catalog was read is none of ours. */
async function stillNamed(
  catalog: Catalog,
  { id }: Partition,
  inspected: Inspection | InspectError,
): Promise<boolean> {
  if (!(inspected instanceof InspectError) || inspected.code !== 'ENOENT') return true;
  return (await catalog.partitions()).some((partition) => partition.id === id);
}

function judge(partition: Partition, inspected: Inspection | InspectError): Finding[] {
  const { id: partitionId, key } = partition;
  const problems = problemsOf(partition, inspected);
  if (partition.state === 'quarantined') {
    problems.push(problems.length === 0 ? 'in quarantine, but whole' : 'in quarantine');
  }
  return problems.map((message) => ({ severity: 'damage', key, partitionId, message }));
}

function problemsOf(partition: Partition, inspected: Inspection | InspectError): string[] {
  if (inspected instanceof InspectError) {
    return [inspected.code === 'ENOENT' ? 'the file is missing' : inspected.message];
  }
  const problems: string[] = [];
  const compare = (what: string, found: unknown, meant: unknown) => {
    if (found !== meant) problems.push(`${what}: ${found} instead of ${meant}`);
  };
  compare('bytes', inspected.bytes, partition.bytes);
  compare('checksum', inspected.checksum, partition.checksum);
  compareContent(inspected.content, partition, compare);
  return problems;
}

function compareContent(
  content: FileContent | undefined,
  partition: Partition,
  compare: (what: string, found: unknown, meant: unknown) => void,
): void {
  compare('rows', content?.rows, partition.rows);
  compare('oldest time', content?.minTimeUs, partition.minTimeUs);
  compare('newest time', content?.maxTimeUs, partition.maxTimeUs);
  compare('earliest expiry', content?.minExpiresUs, partition.minExpiresUs);
}

function orphan(key: string): Finding {
  const message = 'the catalog does not name this file';
  return { severity: 'warning', key, partitionId: null, message };
}
