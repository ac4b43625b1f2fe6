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
export const MEMORY_TYPE_RULE = textRule(
  `^(?:${MEMORY_TYPES.join('|')})$`,
  `must be one of ${MEMORY_TYPES.map((type) => `"${type}"`).join(', ')}`,
);

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
