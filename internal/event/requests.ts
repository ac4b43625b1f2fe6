import { invalid } from '../fault/fault.js';
import type { MemoryType } from './event.js';
import {
  broken,
  isSent,
  optionalText,
  optionalTexts,
  requiredText,
  wholeWithin,
} from './fields.js';
import { encodeFreeform } from './freeform.js';
import {
  CONTEXT_MEMORIES,
  CONTEXT_SINCE,
  CONTEXT_TOKENS,
  DESCRIPTION_BYTES_MAX,
  type EventLimits,
  KEY_NAME_LENGTH_MAX,
  MEMORY_TYPE_RULE,
  NAME_RULE,
  PERMISSION_RULE,
  type Permission,
  RETENTION_DAYS_MAX,
  type SessionStatus,
  STATUS_RULE,
} from './rules.js';
import { asObject, fitsUtf8, hasAtMost, isStorable, STORABLE_MUST } from './text.js';
import { parseTime, parseWindow, type TimeWindow } from './window.js';

/** POST /agents. Absent texts are ''. */
export interface AgentInput {
  name: string;
  description: string;
  configJson: string;
}

export function decodeAgent(raw: unknown, limits: EventLimits): AgentInput {
  const input = asObject(raw, '');
  return {
    name: requiredText(input.name, NAME_RULE, '', 'name'),
    description: descriptionOf(input.description),
    configJson: encodeFreeform(input.config, limits.metadataBytes, 'config'),
  };
}

function descriptionOf(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string' || !fitsUtf8(value, DESCRIPTION_BYTES_MAX)) {
    const must = `must be a string of at most ${DESCRIPTION_BYTES_MAX} bytes of UTF-8`;
    throw broken('', 'description', must);
  }
  if (!isStorable(value)) throw broken('', 'description', STORABLE_MUST);
  return value;
}

/** POST /sessions. */
export interface SessionInput {
  agentId: string;
  metadataJson: string;
}

export function decodeSession(raw: unknown, limits: EventLimits): SessionInput {
  const input = asObject(raw, '');
  return {
    agentId: requiredText(input.agent_id, NAME_RULE, '', 'agent_id'),
    metadataJson: encodeFreeform(input.metadata, limits.metadataBytes, 'metadata'),
  };
}

/** PUT /sessions/:id. What is absent stays as it is. */
export interface SessionPatch {
  status?: SessionStatus;
  /** Merged key by key; null deletes a key. */
  metadata?: Record<string, unknown>;
}

export function decodeSessionPatch(raw: unknown): SessionPatch {
  const input = asObject(raw, '');
  const patch: SessionPatch = {};
  const status = optionalText(input.status, STATUS_RULE, '', 'status');
  if (status !== '') patch.status = status as SessionStatus;
  if (!isSent(input.metadata)) return patch;
  // The size that counts is that of the merged object; this refuses what could never be stored.
  encodeFreeform(input.metadata, Number.MAX_SAFE_INTEGER, 'metadata');
  patch.metadata = asObject(input.metadata, 'metadata');
  return patch;
}

/**
 * A session's metadata after a patch: top-level keys are replaced, those that are null go.
 *
 * @param json what is stored: the text of an object, or ''
 * @throws Fault if the result is too large
 */
export function mergeMetadata(
  json: string,
  patch: Readonly<Record<string, unknown>>,
  maxBytes: number,
): string {
  const merged = new Map(Object.entries(JSON.parse(json || '{}') as object));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, value);
  }
  return encodeFreeform(Object.fromEntries(merged), maxBytes, 'metadata');
}

/** POST /sessions/:id/context. */
export interface ContextInput extends TimeWindow {
  includeTypes?: MemoryType[];
  maxTokens: number;
  maxMemories: number;
}

/** @param raw the body; undefined and null for none */
export function decodeContext(raw: unknown, nowUs: number): ContextInput {
  const input = asObject(raw ?? {}, '');
  const sent = input.since ?? CONTEXT_SINCE;
  const since = sent === 'all' ? undefined : sent;
  const context: ContextInput = {
    ...parseWindow({ since, until: input.until }, nowUs),
    maxTokens: wholeWithin(input.max_tokens, CONTEXT_TOKENS, 'max_tokens'),
    maxMemories: wholeWithin(input.max_memories, CONTEXT_MEMORIES, 'max_memories'),
  };
  const types = optionalTexts(input.include_types, MEMORY_TYPE_RULE, 'include_types');
  if (types !== undefined && types.length > 0) context.includeTypes = types as MemoryType[];
  return context;
}

/** POST /keys. */
export interface KeyInput {
  name: string;
  permissions: Permission[];
  expiresUs: number | null;
}

export function decodeKey(raw: unknown, nowUs: number): KeyInput {
  const input = asObject(raw, '');
  return {
    name: keyNameOf(input.name),
    permissions: permissionsOf(input.permissions),
    expiresUs: expiryOf(input.expires_at, nowUs),
  };
}

function keyNameOf(value: unknown): string {
  if (!isSent(value)) throw broken('', 'name', 'is required');
  if (typeof value !== 'string' || value === '' || !hasAtMost(value, KEY_NAME_LENGTH_MAX)) {
    throw broken('', 'name', `must be a string of 1 to ${KEY_NAME_LENGTH_MAX} characters`);
  }
  if (!isStorable(value)) throw broken('', 'name', STORABLE_MUST);
  return value;
}

/** An empty list is no shorthand for the default: a key that may do nothing is a mistake. */
function permissionsOf(value: unknown): Permission[] {
  const sent = optionalTexts(value, PERMISSION_RULE, 'permissions');
  if (sent === undefined) return ['read', 'write'];
  if (sent.length === 0) throw broken('', 'permissions', 'must not be empty');
  return [...new Set(sent)] as Permission[];
}

function expiryOf(value: unknown, nowUs: number): number | null {
  if (!isSent(value)) return null;
  const expiresUs = parseTime(value, 'expires_at');
  if (expiresUs > nowUs) return expiresUs;
  throw broken('', 'expires_at', 'must be in the future');
}

/** The days of PUT /retention; null is the server's default. */
export function decodeRetention(raw: unknown): number | null {
  const { days } = asObject(raw, '');
  if (days === null) return null;
  if (days === undefined) throw broken('', 'days', 'is required (null for the default)');
  if (typeof days === 'number' && Number.isInteger(days)) {
    if (days >= 1 && days <= RETENTION_DAYS_MAX) return days;
  }
  throw invalid('days', `days must be a whole number from 1 to ${RETENTION_DAYS_MAX}, or null.`);
}
