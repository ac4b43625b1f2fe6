import type { Event, MemoryType } from './event.js';
import { broken, optionalText, requiredText } from './fields.js';
import { encodeFreeform } from './freeform.js';
import { dedupKeyOf } from './key.js';
import {
  EVENT_TYPE_RULE,
  type EventLimits,
  FUTURE_MAX_US,
  KEY_LENGTH_MAX,
  MEMORY_TYPE_RULE,
  NAME_RULE,
  TAG_RULE,
  TAGS_MAX,
  type TextRule,
} from './rules.js';
import { asObject, fitsUtf8, hasAtMost, isStorable, memberPath, STORABLE_MUST } from './text.js';
import { isTime, parseDuration, parseTime } from './window.js';

/** An event whose id is still ''. */
export type DraftEvent = Event;

/** What decoding depends on besides the input; one for all items of a request. */
export interface DecodeContext {
  orgId: string;
  /** Becomes ingestedUs, and the time of events without one. */
  nowUs: number;
  /** Event times before it are beyond the retention; null = no retention. */
  floorUs: number | null;
  limits: EventLimits;
  dedup: {
    /** Whether keys are computed for events without their own. */
    enabled: boolean;
    /** How many first bytes of the content count for a computed key; 0 = all. */
    contentBytes: number;
  };
}

type Input = Record<string, unknown>;

/**
 * A memory of the wire contract (schema.ts: MemoryInput) as an event. Unknown members are ignored,
 * and so are org_id, id and ingested_at: the server alone decides those.
 *
 * The rules are applied by hand, as this runs for every event of every batch; that the published
 * schema says the same is held by a test.
 *
 * @param raw what JSON.parse returned
 * @param path where in the body it stands: '' or `memories[3]`
 * @throws Fault invalid_field naming the field
 */
export function decodeMemory(raw: unknown, context: DecodeContext, path = ''): DraftEvent {
  const input = asObject(raw, path);
  const agentId = requiredText(input.agent_id, NAME_RULE, path, 'agent_id');
  const sessionId = textOrEmpty(input.session_id, NAME_RULE, path, 'session_id');
  const memoryType = textOrEmpty(input.memory_type, MEMORY_TYPE_RULE, path, 'memory_type');
  const eventType = textOrEmpty(input.event_type, EVENT_TYPE_RULE, path, 'event_type') || 'general';
  const content = contentOf(input.content, context.limits.contentBytes, path);
  const sentUs = sentTime(input.time, context, path);
  const ownKey = keyOf(input.dedup_key, path, 'dedup_key');
  return {
    timeUs: sentUs ?? context.nowUs,
    id: '',
    orgId: context.orgId,
    agentId,
    sessionId,
    memoryType: (memoryType || 'episodic') as MemoryType,
    eventType,
    content,
    metadataJson: metadataOf(input.metadata, context.limits.metadataBytes, path),
    tagsCsv: tagsOf(input.tags, path),
    dedupKey:
      ownKey === '' && context.dedup.enabled
        ? dedupKeyOf(
            { agentId, sessionId, eventType, content, timeUs: sentUs },
            context.dedup.contentBytes,
          )
        : ownKey,
    importance: importanceOf(input.importance, path),
    parentId: keyOf(input.parent_id, path, 'parent_id'),
    ingestedUs: context.nowUs,
    expiresUs: expiryOf(input, context.nowUs, path),
  };
}

/** The draft, which has its id from now on. */
export function withId(draft: DraftEvent, id: string): Event {
  draft.id = id;
  return draft;
}

/** '' is absent: for an id by contract, for a type as memtrace's Go client sends it when unset. */
function textOrEmpty(value: unknown, rule: TextRule, path: string, name: string): string {
  return value === '' ? '' : optionalText(value, rule, path, name);
}

function contentOf(value: unknown, maxBytes: number, path: string): string {
  if (typeof value !== 'string') {
    const missing = value === undefined || value === null;
    throw broken(path, 'content', missing ? 'is required' : 'must be a string');
  }
  if (value === '') throw broken(path, 'content', 'must not be empty');
  if (!fitsUtf8(value, maxBytes)) {
    throw broken(path, 'content', `must be at most ${maxBytes} bytes of UTF-8`);
  }
  if (!isStorable(value)) throw broken(path, 'content', STORABLE_MUST);
  return value;
}

function keyOf(value: unknown, path: string, name: string): string {
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string' || !hasAtMost(value, KEY_LENGTH_MAX)) {
    throw broken(path, name, `must be a string of at most ${KEY_LENGTH_MAX} characters`);
  }
  if (!isStorable(value)) throw broken(path, name, STORABLE_MUST);
  return value;
}

function sentTime(value: unknown, context: DecodeContext, path: string): number | null {
  if (value === undefined || value === null) return null;
  const timeUs = parseTime(value, memberPath(path, 'time'));
  if (timeUs > context.nowUs + FUTURE_MAX_US) {
    throw broken(path, 'time', 'must not be more than 5 minutes in the future');
  }
  if (context.floorUs !== null && timeUs < context.floorUs) {
    throw broken(path, 'time', 'must not be older than the retention of this organization');
  }
  return timeUs;
}

function metadataOf(value: unknown, maxBytes: number, path: string): string {
  if (value === undefined || value === null) return '';
  return encodeFreeform(value, maxBytes, memberPath(path, 'metadata'));
}

function tagsOf(value: unknown, path: string): string {
  if (value === undefined || value === null) return '';
  if (!Array.isArray(value)) throw broken(path, 'tags', 'must be a list of strings');
  if (value.length > TAGS_MAX) throw broken(path, 'tags', `must be at most ${TAGS_MAX}`);
  let csv = '';
  for (let i = 0; i < value.length; i++) {
    const tag: unknown = value[i];
    if (typeof tag !== 'string' || !TAG_RULE.regex.test(tag)) {
      throw broken(path, `tags[${i}]`, TAG_RULE.must);
    }
    csv += i === 0 ? tag : `,${tag}`;
  }
  return csv;
}

function importanceOf(value: unknown, path: string): number {
  if (value === undefined || value === null) return 0;
  if (typeof value === 'number' && value >= 0 && value <= 1) return value + 0;
  throw broken(path, 'importance', 'must be a number from 0 to 1');
}

function expiryOf(input: Input, nowUs: number, path: string): number | null {
  const ttl = input.ttl ?? null;
  const expiresAt = input.expires_at ?? null;
  if (ttl === null && expiresAt === null) return null;
  if (ttl !== null && expiresAt !== null) {
    throw broken(path, 'ttl', 'and expires_at exclude each other: send one of them');
  }
  if (ttl === null) {
    const expiresUs = parseTime(expiresAt, memberPath(path, 'expires_at'));
    if (expiresUs > nowUs) return expiresUs;
    throw broken(path, 'expires_at', 'must be in the future');
  }
  const expiresUs = nowUs + parseDuration(ttl, memberPath(path, 'ttl'));
  if (!isTime(expiresUs)) throw broken(path, 'ttl', 'must end before the year 10000');
  return expiresUs;
}
