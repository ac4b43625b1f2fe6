import type { Clock } from '../base/clock.js';
import type { UlidFactory } from '../base/ulid.js';
import type { KeyInput } from '../event/requests.js';
import { Fault } from '../fault/fault.js';
import type { Key, Metadata, Org } from '../metadata/metadata.js';
import { type Auth, digestOf, newSecret, prefixOf } from './auth.js';

export const DEFAULT_ORG = 'default';
const BOOTSTRAP_PATTERN = /^mtk_[A-Za-z0-9._~+/=-]{32,252}$/;

/** The verbs of keys and organizations, for the API and the command line alike. */
export class Keys {
  private readonly metadata: Metadata;
  private readonly clock: Clock;
  private readonly ulids: UlidFactory;
  /** Absent on the command line, where nobody is logged in. */
  private readonly auth: Auth | null;

  constructor(metadata: Metadata, clock: Clock, ulids: UlidFactory, auth: Auth | null) {
    this.metadata = metadata;
    this.clock = clock;
    this.ulids = ulids;
    this.auth = auth;
  }

  /** A new key; `secret` is shown once. */
  async create(orgId: string, input: KeyInput): Promise<{ key: Key; secret: string }> {
    const secret = newSecret();
    const key = this.keyOf(orgId, input, secret);
    await this.metadata.keys.create(key, digestOf(secret));
    return { key, secret };
  }

  list(orgId: string): Promise<Key[]> {
    return this.metadata.keys.list(orgId);
  }

  /** Rejects with `not_found` or `last_admin_key`. */
  async revoke(orgId: string, id: string): Promise<void> {
    const outcome = await this.metadata.keys.revoke(orgId, id, this.clock.nowUs());
    this.auth?.forget();
    if (outcome === 'not_found') throw new Fault('not_found', 'there is no key with this id');
    if (outcome === 'last_admin') {
      throw new Fault('last_admin_key', 'this is the last admin key of the organization', {
        hint: 'create another admin key first',
      });
    }
  }

  /** Rejects with `name_taken`. */
  async createOrg(name: string): Promise<Org> {
    const org = this.orgOf(name);
    await this.metadata.orgs.create(org);
    return org;
  }

  /**
   * The first start: without `secret`, an empty store gets the organization `default` and a new
   * admin key, which is returned; with one, that key is made, kept or replaced.
   */
  async bootstrap(secret: string): Promise<{ secret: string; isNew: boolean } | null> {
    if (secret === '' && (await this.metadata.orgs.list()).length > 0) return null;
    if (secret !== '' && !BOOTSTRAP_PATTERN.test(secret)) throw badBootstrapKey();
    const used = secret === '' ? newSecret() : secret;
    const org = this.orgOf(DEFAULT_ORG);
    const input: KeyInput = { name: 'bootstrap', permissions: ['admin'], expiresUs: null };
    const key = this.keyOf(org.id, input, used);
    const outcome = await this.metadata.keys.bootstrap(org, key, digestOf(used));
    return { secret: used, isNew: outcome !== 'unchanged' };
  }

  private keyOf(orgId: string, input: KeyInput, secret: string): Key {
    const nowUs = this.clock.nowUs();
    return {
      id: `key_${this.ulids.next(Math.floor(nowUs / 1000))}`,
      orgId,
      name: input.name,
      prefix: prefixOf(secret),
      permissions: input.permissions,
      createdUs: nowUs,
      expiresUs: input.expiresUs,
      revokedUs: null,
      lastUsedUs: null,
    };
  }

  private orgOf(name: string): Org {
    const nowUs = this.clock.nowUs();
    const id = `org_${this.ulids.next(Math.floor(nowUs / 1000))}`;
    return { id, name, createdUs: nowUs, retentionDays: null };
  }
}

function badBootstrapKey(): Error {
  return new Error(
    'MEMTRACE_AUTH_BOOTSTRAP_KEY must be mtk_ followed by 32 to 252 letters, digits or ._~+/=-',
  );
}
