import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { Change, ChangeStore } from '../metadata/changes.js';
import type { Objects } from '../objects/objects.js';
import type { Ledger, Revocation } from './ledger.js';
import { BadShipment } from './shipment.js';

/**
 * Rows of the control tables that changed, as objects `changes/<incarnation>/<number of the last>`:
 * a line with the SHA-256 of the rest, then JSON in gzip. Numbers are those of the data directory;
 * each object says up to which number the one before it went.
 */
export interface ChangeBatch {
  incarnation: string;
  after: number;
  through: number;
  /** When it was last looked for changes before. */
  sinceUs: number;
  changes: Change[];
}

const zip = promisify(gzip);
const unzip = promisify(gunzip);
const HASH_CHARS = 64;
const BATCH_ROWS = 1_000;

export const CHANGES = 'changes';

export function changesFolder(incarnation: string): string {
  return `${CHANGES}/${incarnation}`;
}

export function changesKey({ incarnation, through }: ChangeBatch): string {
  return `${changesFolder(incarnation)}/${String(through).padStart(20, '0')}`;
}

/** The number in a key; null if it is none of a batch. */
export function parseChangesKey(key: string): { incarnation: string; through: number } | null {
  const [, incarnation, through] = /^changes\/([^/]+)\/(\d{20})$/.exec(key) ?? [];
  return incarnation === undefined ? null : { incarnation, through: Number(through) };
}

export async function encodeChanges(batch: ChangeBatch): Promise<Buffer> {
  const body = await zip(JSON.stringify(batch));
  return Buffer.concat([Buffer.from(`${hashOf(body)}\n`), body]);
}

/** Rejects with BadShipment. */
export async function decodeChanges(bytes: Uint8Array): Promise<ChangeBatch> {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const body = all.subarray(HASH_CHARS + 1);
  if (all.toString('latin1', 0, HASH_CHARS + 1) !== `${hashOf(body)}\n`) {
    throw new BadShipment('its checksum is wrong');
  }
  return JSON.parse((await unzip(body)).toString('utf8')) as ChangeBatch;
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Where changes go. */
export interface ChangesTarget {
  objects: Objects;
  ledger: Ledger;
  incarnation: string;
  sinceUs: number;
}

/**
 * Sends what changed; what is for ever (revoked, deleted) into the ledger too.
 */
export async function shipChanges(store: ChangeStore, to: ChangesTarget): Promise<void> {
  const { objects, ledger, incarnation, sinceUs } = to;
  for (;;) {
    const { after, through, changes } = await store.take(BATCH_ROWS);
    if (changes.length === 0) return;
    await ledger.add([], changes.flatMap(goneIn));
    const batch = { incarnation, after, through, sinceUs, changes };
    // False: it was sent before a crash. A row that changed since has a later number.
    await objects.put(changesKey(batch), await encodeChanges(batch));
    await store.sent(through);
  }
}

function goneIn({ kind, id, row }: Change): Revocation[] {
  const atUs = kind === 'keys' ? row?.revoked_us : kind === 'orgs' ? row?.deleted_us : null;
  if (typeof atUs !== 'number') return [];
  return [{ kind: kind === 'keys' ? 'key' : 'org', id, atUs }];
}
