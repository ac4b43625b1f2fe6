import { createHash } from 'node:crypto';
import { decodeMs } from '../base/ulid.js';
import { isKey } from '../objects/key.js';

/** What a file of the data directory is: events, keys of deduplication. */
export type Role = 'events' | 'dedup';

/** One file that the backup holds. */
export interface BackupFile {
  /** Relative to the data directory. */
  key: string;
  sha256: string;
  bytes: number;
  /** Events in it, or keys. */
  rows: number;
  role: Role;
  /** What the catalog calls the version of the file: two with one key and mark are equal. */
  mark: string;
}

/** A file that the catalog names and the backup has not: it was damaged or gone at its making. */
export interface MissingFile {
  key: string;
  role: Role;
  bytes: number;
  /** Events in it, or keys. */
  rows: number;
  reason: string;
}

/**
 * What a backup is: written last, so that what it names is there. Positions and times are those of
 * the catalog in `database`.
 */
export interface Manifest {
  /** `bak_` + ULID. */
  id: string;
  /** When its point was taken: the copy of the database. */
  createdUs: number;
  /** `full`: every object was read again in the target after it was there. */
  kind: 'full' | 'incremental';
  /** Of the program that made it. */
  version: string;
  /** Of the data directory. */
  format: number;
  /** The log stream that was written, and which life of the data directory wrote it. */
  stream: string;
  incarnation: string | null;
  /** By stream: the position of the log up to which the backup holds its events. */
  positions: Record<string, number>;
  database: { sha256: string; bytes: number };
  files: BackupFile[];
  missing: MissingFile[];
  totals: { files: number; bytes: number; rows: number };
}

/** A manifest that cannot be believed. */
export class BadManifest extends Error {
  override name = 'BadManifest';
}

const ID = /^bak_[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

export function isBackupId(text: string): boolean {
  return ID.test(text);
}

/** When the id was made, milliseconds since 1970; 0 for none. */
export function msOfBackup(id: string): number {
  return decodeMs(id.slice(4)) ?? 0;
}

export const FILES = 'files';
export const BACKUPS = 'backups';

/** Where a file of that content lies in the target. */
export function objectKey(sha256: string): string {
  return `${FILES}/${sha256.slice(0, 2)}/${sha256}`;
}

export function manifestKey(id: string): string {
  return `${BACKUPS}/${id}/manifest.json`;
}

export function databaseKey(id: string): string {
  return `${BACKUPS}/${id}/memtrace.db`;
}

/** Says that a backup is being made; gone with its manifest there. */
export function markerKey(id: string): string {
  return `${BACKUPS}/${id}/started.json`;
}

/** The text of a manifest, with a checksum over itself. */
export function encodeManifest(manifest: Manifest): string {
  return `${JSON.stringify({ manifest, sha256: hashOf(manifest) }, null, 1)}\n`;
}

/** @throws BadManifest if the text is cut, changed, or says what cannot be */
export function decodeManifest(text: string): Manifest {
  let whole: { manifest?: unknown; sha256?: unknown };
  try {
    whole = JSON.parse(text) as typeof whole;
  } catch (error) {
    throw new BadManifest('it is not whole', { cause: error });
  }
  if (typeof whole !== 'object' || whole === null || !isRecord(whole.manifest)) {
    throw new BadManifest('it is not the manifest of a backup');
  }
  if (whole.sha256 !== hashOf(whole.manifest)) throw new BadManifest('its checksum is wrong');
  const problem = problemOf(whole.manifest);
  if (problem !== null) throw new BadManifest(problem);
  return whole.manifest as unknown as Manifest;
}

/** Members keep their order in JSON, read and written again. */
function hashOf(manifest: object): string {
  return createHash('sha256').update(JSON.stringify(manifest)).digest('hex');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const isCount = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0;
const isText = (value: unknown) => typeof value === 'string';
const isHash = (value: unknown) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
const isRole = (value: unknown) => value === 'events' || value === 'dedup';

type Rules = Readonly<Record<string, (value: unknown) => boolean>>;

const RULES: Rules = {
  id: (value) => isText(value) && isBackupId(String(value)),
  createdUs: isCount,
  kind: (value) => value === 'full' || value === 'incremental',
  version: isText,
  format: isCount,
  stream: isText,
  incarnation: (value) => value === null || isText(value),
  positions: (value) => isRecord(value) && Object.values(value).every(isCount),
  database: (value) => follows(value, { sha256: isHash, bytes: isCount }),
  files: (value) => Array.isArray(value) && value.every((file) => follows(file, FILE_RULES)),
  missing: (value) => Array.isArray(value) && value.every((file) => follows(file, MISSING_RULES)),
  totals: (value) => follows(value, { files: isCount, bytes: isCount, rows: isCount }),
};

/** A key becomes a path of the restored directory, so it must be one of a data file. */
function isFileKey(value: unknown): boolean {
  return typeof value === 'string' && isKey(value) && /^(events|dedup)\//.test(value);
}

const FILE_RULES: Rules = {
  key: isFileKey,
  sha256: isHash,
  bytes: isCount,
  rows: isCount,
  role: isRole,
  mark: isText,
};

const MISSING_RULES: Rules = {
  key: isFileKey,
  role: isRole,
  bytes: isCount,
  rows: isCount,
  reason: isText,
};

function follows(value: unknown, rules: Rules): boolean {
  return isRecord(value) && Object.entries(rules).every(([name, rule]) => rule(value[name]));
}

function problemOf(manifest: Record<string, unknown>): string | null {
  const wrong = Object.entries(RULES).find(([name, rule]) => !rule(manifest[name]));
  return wrong === undefined ? null : `its member "${wrong[0]}" is not what it should be`;
}
