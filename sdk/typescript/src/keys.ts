import type { RequestOptions, Transport } from './transport.js';
import type { Erasure, Key, KeyCreated, KeyInput, KeyList, KeySelf, Retention } from './types.js';

const KEYS = '/api/v1/keys';
const RETENTION = '/api/v1/retention';

/** API keys of the organization. All but `self` need an admin key. */
export class Keys {
  private readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  async list(options?: RequestOptions): Promise<Key[]> {
    const call = { method: 'GET', path: KEYS, repeat: 'safe' } as const;
    return (await this.transport.json<KeyList>(call, options)).keys;
  }

  /** `key` of the answer is shown this once. Not sent again when the answer is lost. */
  create(key: KeyInput, options?: RequestOptions): Promise<KeyCreated> {
    const call = { method: 'POST', path: KEYS, body: key, repeat: 'once' } as const;
    return this.transport.json(call, options);
  }

  async revoke(id: string, options?: RequestOptions): Promise<void> {
    const path = `${KEYS}/${encodeURIComponent(id)}`;
    await this.transport.send({ method: 'DELETE', path, repeat: 'safe' }, options);
  }

  /** The key of this client, and its organization. */
  self(options?: RequestOptions): Promise<KeySelf> {
    const call = { method: 'GET', path: `${KEYS}/self`, repeat: 'safe' } as const;
    return this.transport.json(call, options);
  }
}

/** How long memories are kept, and how far their erasure has come. */
export class Upkeep {
  private readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  retention(options?: RequestOptions): Promise<Retention> {
    const call = { method: 'GET', path: RETENTION, repeat: 'safe' } as const;
    return this.transport.json(call, options);
  }

  /** Older memories are removed; null is the server's default. Needs an admin key. */
  setRetention(days: number | null, options?: RequestOptions): Promise<Retention> {
    const call = { method: 'PUT', path: RETENTION, body: { days }, repeat: 'safe' } as const;
    return this.transport.json(call, options);
  }

  erasure(id: string, options?: RequestOptions): Promise<Erasure> {
    const path = `/api/v1/erasures/${encodeURIComponent(id)}`;
    return this.transport.json({ method: 'GET', path, repeat: 'safe' }, options);
  }
}
