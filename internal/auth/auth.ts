import { hash, randomBytes } from 'node:crypto';
import type { Clock } from '../base/clock.js';
import { Fault } from '../fault/fault.js';
import type { Key, KeyStore, Org } from '../metadata/metadata.js';
import { type Caller, retentionFloor } from './caller.js';

/**
 * Keys: `mtk_` + 43 characters of base64url, 256 random bits. So a plain SHA-256 is all that a
 * digest needs (nothing to guess, unlike a password), and a look-up is by digest: no secret is
 * compared byte by byte.
 */
export interface AuthParts {
  keys: KeyStore;
  clock: Clock;
  retentionDays: number;
  /** Whose requests without a key are, where auth.enabled is false; null: a key is needed. */
  anonymous: (() => Promise<Org | null>) | null;
}

/** How long a looked-up key is believed: revocation must work within 5 s on every replica. */
const BELIEVED_MS = 3_000;
const TOUCH_EVERY_MS = 10_000;
const MAX_CACHED = 10_000;
const KEY_PATTERN = /^mtk_[A-Za-z0-9._~+/=-]{16,256}$/;

interface Cached {
  found: { key: Key; org: Org } | null;
  untilMs: number;
}

export class Auth {
  private readonly parts: AuthParts;
  /** By the key as sent: the digest need not be computed for every request. Never leaves memory. */
  private readonly cache = new Map<string, Cached>();
  private readonly pending = new Map<string, Promise<Cached>>();
  private readonly uses = new Map<string, number>();
  private timer: NodeJS.Timeout | null = null;

  constructor(parts: AuthParts) {
    this.parts = parts;
  }

  /** Starts noting the last use of keys, lazily. */
  start(): void {
    this.timer = setInterval(() => void this.flushUses(), TOUCH_EVERY_MS);
    this.timer.unref();
  }

  async stop(): Promise<void> {
    if (this.timer !== null) clearInterval(this.timer);
    await this.flushUses();
  }

  /** The caller of a key. Rejects with `missing_api_key` or `invalid_api_key`. */
  authenticate(secret: string | undefined): Caller | Promise<Caller> {
    if (secret === undefined || secret === '') {
      if (this.parts.anonymous === null) throw missingKey();
      return this.anonymous(this.parts.anonymous);
    }
    const cached = this.cache.get(secret);
    if (cached !== undefined && cached.untilMs > this.parts.clock.monoMs()) {
      return this.callerOf(cached);
    }
    if (!KEY_PATTERN.test(secret)) throw invalidKey();
    return this.lookUp(secret).then((fresh) => this.callerOf(fresh));
  }

  /** Forgets what is believed of keys: a change in this process works at once. */
  forget(): void {
    this.cache.clear();
  }

  private callerOf({ found }: Cached): Caller {
    if (found === null) throw invalidKey();
    const { key, org } = found;
    const nowUs = this.parts.clock.nowUs();
    if (key.revokedUs !== null) throw invalidKey();
    if (key.expiresUs !== null && key.expiresUs <= nowUs) throw invalidKey();
    this.uses.set(key.id, nowUs);
    const floorUs = retentionFloor(org, this.parts.retentionDays, this.parts.clock);
    return { orgId: org.id, org, key, permissions: key.permissions, floorUs };
  }

  private async anonymous(find: () => Promise<Org | null>): Promise<Caller> {
    const org = await find();
    if (org === null) throw invalidKey();
    const key: Key = {
      id: 'key_anonymous',
      orgId: org.id,
      name: 'anonymous',
      prefix: '',
      permissions: ['admin'],
      createdUs: org.createdUs,
      expiresUs: null,
      revokedUs: null,
      lastUsedUs: null,
    };
    const floorUs = retentionFloor(org, this.parts.retentionDays, this.parts.clock);
    return { orgId: org.id, org, key, permissions: key.permissions, floorUs };
  }

  private lookUp(secret: string): Promise<Cached> {
    const pending = this.pending.get(secret);
    if (pending !== undefined) return pending;
    const lookUp = this.parts.keys
      .findByDigest(digestOf(secret))
      .then((found) => {
        const cached = { found, untilMs: this.parts.clock.monoMs() + BELIEVED_MS };
        // Unknown keys are not kept: a flood of guesses must not push out real ones.
        if (found !== null) this.remember(secret, cached);
        return cached;
      })
      .finally(() => this.pending.delete(secret));
    this.pending.set(secret, lookUp);
    return lookUp;
  }

  private remember(secret: string, cached: Cached): void {
    if (this.cache.size >= MAX_CACHED) this.cache.clear();
    this.cache.set(secret, cached);
  }

  private async flushUses(): Promise<void> {
    if (this.uses.size === 0) return;
    const uses = [...this.uses].map(([id, usedUs]) => ({ id, usedUs }));
    this.uses.clear();
    // Only for display: a busy database loses a use, never a request.
    await this.parts.keys.touch(uses).catch(() => undefined);
  }
}

/** A new key; shown once, never stored. */
export function newSecret(): string {
  return `mtk_${randomBytes(32).toString('base64url')}`;
}

/** What is stored of a key: SHA-256, hex. */
export function digestOf(secret: string): string {
  return hash('sha256', secret, 'hex');
}

/** What people tell keys apart by. */
export function prefixOf(secret: string): string {
  return secret.slice(0, 12);
}

function missingKey(): Fault {
  return new Fault('missing_api_key', 'missing API key', {
    hint: 'send it as "x-api-key: mtk_…" or "Authorization: Bearer mtk_…"',
  });
}

function invalidKey(): Fault {
  return new Fault('invalid_api_key', 'invalid API key', {
    hint: 'it is unknown, revoked or expired',
  });
}
