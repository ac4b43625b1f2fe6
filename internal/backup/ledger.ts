import { US_PER_SECOND } from '../base/clock.js';
import type { Deletion } from '../metadata/metadata.js';
import { codeOf } from '../objects/local.js';
import type { Objects } from '../objects/objects.js';

/**
 * What no restore may bring back, one small object each: erased events, revoked keys, deleted
 * organizations. Kept as long as any backup is older.
 */
export const ERASURES = 'erasures';
export const REVOCATIONS = 'revocations';

export interface Revocation {
  kind: 'key' | 'org';
  /** Of the key, or of the organization. */
  id: string;
  atUs: number;
}

const ID = /^[A-Za-z0-9_-]{1,64}$/;

export function erasureKey(id: string): string {
  return `${ERASURES}/${id}.json`;
}

export function revocationKey(id: string): string {
  return `${REVOCATIONS}/${id}.json`;
}

/** What happened so long before a backup is surely in its database. */
export const LEDGER_MARGIN_US = 24 * 3_600 * US_PER_SECOND;

/** What a deletion's log record holds of it, and so the ledger. */
export type Erasure = Omit<Deletion, 'stream' | 'position'>;

/** Adds to the ledger of one target; what is known to be there costs nothing. */
export class Ledger {
  private readonly objects: Objects;
  private readonly known = new Set<string>();
  private listed = false;

  constructor(objects: Objects) {
    this.objects = objects;
  }

  /** Idempotent. */
  async add(erasures: readonly Erasure[], revocations: readonly Revocation[]): Promise<void> {
    for (const { id, orgId, filter, requestedUs, deadlineUs } of erasures) {
      const open = { state: 'accepted', doneUs: null } as const;
      await this.put(erasureKey(id), { id, orgId, filter, requestedUs, deadlineUs, ...open });
    }
    for (const revocation of revocations) await this.put(revocationKey(revocation.id), revocation);
  }

  /** Asks the target what it has, so that a long list costs no upload again. */
  async list(): Promise<void> {
    if (this.listed) return;
    for (const folder of [ERASURES, REVOCATIONS]) {
      for await (const { key } of this.objects.list(folder)) this.known.add(key);
    }
    this.listed = true;
  }

  private async put(key: string, entry: Erasure | Revocation): Promise<void> {
    if (this.known.has(key)) return;
    // Put-if-absent: an id means one thing for ever.
    await this.objects.put(key, Buffer.from(`${JSON.stringify(entry)}\n`));
    this.known.add(key);
  }
}

/** All of it. Entries that cannot be read are named: they may be what must not come back. */
export async function readLedger(
  objects: Objects,
): Promise<{ erasures: Erasure[]; revocations: Revocation[]; unreadable: string[] }> {
  const unreadable: string[] = [];
  const erasures = await readAll(objects, ERASURES, { accept: isErasure, unreadable });
  const revocations = await readAll(objects, REVOCATIONS, { accept: isRevocation, unreadable });
  return { erasures, revocations, unreadable };
}

async function readAll<T>(
  objects: Objects,
  folder: string,
  { accept, unreadable }: { accept: (value: unknown) => value is T; unreadable: string[] },
): Promise<T[]> {
  const entries: T[] = [];
  for await (const { key } of objects.list(folder)) {
    const value = await readJson(objects, key);
    if (accept(value)) entries.push(value);
    else if (value !== undefined) unreadable.push(key);
  }
  return entries;
}

/** Undefined if it went meanwhile, null if it is no JSON. */
async function readJson(objects: Objects, key: string): Promise<unknown> {
  try {
    return JSON.parse(Buffer.from(await objects.get(key)).toString('utf8'));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function isErasure(value: unknown): value is Erasure {
  const { id, orgId, filter, requestedUs, deadlineUs } = (value ?? {}) as Partial<Erasure>;
  const named = ID.test(id ?? '') && typeof orgId === 'string' && orgId !== '';
  const timed = Number.isSafeInteger(requestedUs) && Number.isSafeInteger(deadlineUs);
  return named && timed && typeof filter === 'object' && filter !== null;
}

function isRevocation(value: unknown): value is Revocation {
  const { kind, id, atUs } = (value ?? {}) as Partial<Revocation>;
  return (kind === 'key' || kind === 'org') && ID.test(id ?? '') && Number.isSafeInteger(atUs);
}

/**
 * Entries that every backup of the target has in its database go; how many.
 *
 * @param backupUs when the oldest backup was begun
 */
export async function pruneLedger(objects: Objects, backupUs: number): Promise<number> {
  const oldestUs = backupUs - LEDGER_MARGIN_US;
  const { erasures, revocations } = await readLedger(objects);
  const old = [
    ...erasures.filter((one) => one.requestedUs < oldestUs).map(({ id }) => erasureKey(id)),
    ...revocations.filter((one) => one.atUs < oldestUs).map(({ id }) => revocationKey(id)),
  ];
  for (const key of old) await objects.delete(key);
  return old.length;
}
