import { fieldName, type Value } from './option.js';
import { OPTIONS } from './options.js';
import type { Config } from './table.js';
import { shown, written } from './value.js';

/** A rule between options: the option to blame, and what is wrong with it. */
export interface Breach {
  readonly name: string;
  readonly message: string;
}

/** What no single row can say. */
export function brokenRules(config: Config): Breach[] {
  const breaches: Breach[] = [];
  const { auth, server, limits, storage, arc } = config;
  if (!auth.enabled && !auth.allowInsecure && !isLoopback(server.host)) {
    breaches.push({
      name: 'auth.enabled',
      message:
        `must be true while server.host (${server.host}) can be reached from other machines; ` +
        'listen on 127.0.0.1, or set auth.allow_insecure = true',
    });
  }
  for (const name of ['content_bytes', 'metadata_bytes'] as const) {
    const value = name === 'content_bytes' ? limits.contentBytes : limits.metadataBytes;
    if (value > limits.bodyBytes) {
      breaches.push({ name: `limits.${name}`, message: 'must not be more than limits.body_bytes' });
    }
  }
  if (limits.bodyBytes > limits.inflightBytes) {
    breaches.push({
      name: 'limits.body_bytes',
      message:
        'must not be more than limits.inflight_bytes, or such a body could never be accepted',
    });
  }
  if (storage.engine === 'arc' && arc.url === '') {
    breaches.push({ name: 'storage.engine', message: 'needs arc.url' });
  }
  return breaches;
}

/** Whether only this machine can reach an address. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i.test(host);
}

/**
 * The options that this version declares and cannot honour, a sentence each: `serve` must not
 * start with one, as it would keep the data elsewhere than its operator believes.
 */
export function unsupported(config: Config): string[] {
  return OPTIONS.flatMap(({ section, key, name, row }) => {
    const value = valueAt(config, section, fieldName(key, row.kind));
    if (row.refused === undefined || value === row.default) return [];
    return [`${name} = ${shown(row, written(row, value))}: ${row.refused}.`];
  });
}

/** The value of an option whose name is only known at run time. */
export function valueAt(config: Config, section: string, field: string): Value {
  const sections: Readonly<Record<string, Readonly<Record<string, Value>>>> = config;
  return sections[section]?.[field] ?? '';
}
