import { MEMORY_TYPES } from './event.js';

/** A rule for a text of the wire contract: the schemas publish it and the decoders apply it. */
export interface TextRule {
  /** An ECMA-262 pattern of the whole text. */
  pattern: string;
  regex: RegExp;
  /** Goes on after the field's name: `agent_id must …`. */
  must: string;
}

function textRule(pattern: string, must: string): TextRule {
  return { pattern, regex: new RegExp(pattern), must };
}

export const NAME_RULE = textRule(
  '^[a-zA-Z][a-zA-Z0-9_-]{0,127}$',
  'must be 1 to 128 letters, digits, "_" or "-", and begin with a letter',
);
export const EVENT_TYPE_RULE = textRule(
  '^[a-zA-Z][a-zA-Z0-9_]{0,63}$',
  'must be 1 to 64 letters, digits or "_", and begin with a letter',
);
export const TAG_RULE = textRule(
  '^[a-zA-Z0-9_.-]{1,64}$',
  'must be 1 to 64 letters, digits, "_", "." or "-"',
);
export const SESSION_STATUSES = ['active', 'closed'] as const;
export type SessionStatus = (typeof SESSION_STATUSES)[number];
export const PERMISSIONS = ['read', 'write', 'admin'] as const;
export type Permission = (typeof PERMISSIONS)[number];

export const MEMORY_TYPE_RULE = oneOf(MEMORY_TYPES);
export const STATUS_RULE = oneOf(SESSION_STATUSES);
export const PERMISSION_RULE = oneOf(PERMISSIONS);

function oneOf(values: readonly string[]): TextRule {
  const named = values.map((value) => `"${value}"`).join(', ');
  return textRule(`^(?:${values.join('|')})$`, `must be one of ${named}`);
}

/** Of an agent's description, in UTF-8 bytes. */
export const DESCRIPTION_BYTES_MAX = 4 * 1024;
/** Of an API key's name, in characters. */
export const KEY_NAME_LENGTH_MAX = 128;
export const RETENTION_DAYS_MAX = 36_500;
/** What a session's context may take. */
export const CONTEXT_TOKENS = { min: 64, default: 8_000, max: 200_000 };
export const CONTEXT_MEMORIES = { min: 1, default: 100, max: 1_000 };
export const CONTEXT_SINCE = '24h';

export const TAGS_MAX = 32;
/** Of a dedup_key and of a parent_id, in characters (code points). */
export const KEY_LENGTH_MAX = 128;
/** Of metadata; its outer object is depth 1. */
export const METADATA_DEPTH_MAX = 16;
/** Of a search's memory_types and event_types: bounds the query that is made of them. */
export const EVENT_TYPES_MAX = 100;
export const LIST_LIMIT = 100;
export const SEARCH_LIMIT = 50;
export const LIMIT_MAX = 1_000;
export const OFFSET_MAX = 1_000_000_000;
export const CURSOR_LENGTH_MAX = 1_024;
/** How far an event's time may be ahead of the server's clock. */
export const FUTURE_MAX_US = 5 * 60 * 1_000_000;

/** What an operator can configure. */
export interface EventLimits {
  /** UTF-8 bytes of one content. */
  contentBytes: number;
  /** UTF-8 bytes of one metadata object, serialized. */
  metadataBytes: number;
}

export const DEFAULT_LIMITS: EventLimits = { contentBytes: 64 * 1024, metadataBytes: 16 * 1024 };
