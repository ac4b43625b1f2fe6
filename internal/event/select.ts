import { nearest } from '../config/nearest.js';
import { invalid } from '../fault/fault.js';
import type { EventFilter, MemoryType, Order } from './event.js';
import { fold } from './fold.js';
import {
  EVENT_TYPE_RULE,
  EVENT_TYPES_MAX,
  KEY_LENGTH_MAX,
  LIMIT_MAX,
  MEMORY_TYPE_RULE,
  NAME_RULE,
  TAG_RULE,
  TAGS_MAX,
  type TextRule,
} from './rules.js';
import { hasAtMost, isStorable, STORABLE_MUST } from './text.js';
import { parseTimeValue, parseWindow, type TimeWindow } from './window.js';

/** What a client sent to select events, by the names of the wire contract; null is absent. */
export type SentFilters = Readonly<Record<string, unknown>>;

/**
 * The filter that the sent members select. Whatever is not understood is refused: a filter that is
 * dropped in silence would widen a result, or a deletion.
 *
 * @param frozen the window comes out of a cursor, so the filter has none
 */
export function filterOf(sent: SentFilters, nowUs: number, frozen = false): EventFilter {
  const filter: EventFilter = windowOf(sent, nowUs, frozen);
  if (has(sent, 'agent_id')) filter.agentIds = [textOf(sent, 'agent_id', NAME_RULE)];
  if (has(sent, 'session_id')) filter.sessionId = textOf(sent, 'session_id', NAME_RULE);
  if (has(sent, 'parent_id')) filter.parentId = literalOf(sent, 'parent_id', KEY_LENGTH_MAX);
  if (has(sent, 'min_importance')) filter.minImportance = shareOf(sent, 'min_importance');
  const types = listOf(sent, 'memory_type', MEMORY_TYPE_RULE, EVENT_TYPES_MAX);
  if (types !== undefined) filter.memoryTypes = types as MemoryType[];
  const eventTypes = listOf(sent, 'event_type', EVENT_TYPE_RULE, EVENT_TYPES_MAX);
  if (eventTypes !== undefined) filter.eventTypes = eventTypes;
  const tags = itemsOf(sent, 'tags', TAG_RULE, TAGS_MAX);
  if (tags !== undefined) filter.tags = tags;
  if (has(sent, 'content_contains')) {
    filter.contentContains = fold(literalOf(sent, 'content_contains', Number.MAX_SAFE_INTEGER));
  }
  return filter;
}

/** Of a later page, only whether it can be read: by now its two ends may have passed each other. */
function windowOf(sent: SentFilters, nowUs: number, frozen: boolean): TimeWindow {
  if (!frozen) return parseWindow(sent, nowUs);
  for (const name of ['since', 'until']) {
    if (has(sent, name)) parseTimeValue(sent[name], nowUs, name);
  }
  return {};
}

export function orderOf(sent: SentFilters): Order {
  const order = sent.order ?? 'desc';
  if (order === 'asc' || order === 'desc') return order;
  throw invalid('order', 'order must be "desc" (newest first) or "asc".');
}

/** @param limit a number; NaN for what is none */
export function limitOf(limit: unknown): number {
  if (typeof limit === 'number' && Number.isInteger(limit) && limit >= 1 && limit <= LIMIT_MAX) {
    return limit;
  }
  throw invalid('limit', `limit must be a whole number from 1 to ${LIMIT_MAX}.`);
}

/** Refuses the first name that is not allowed, with the one that was probably meant. */
export function onlyNames(
  names: readonly string[],
  allowed: readonly string[],
  kind: string,
): void {
  for (const name of names) {
    if (allowed.includes(name)) continue;
    const shown = name.length > 64 ? `${name.slice(0, 64)}…` : name;
    const meant = nearest(shown, allowed);
    throw invalid(
      shown,
      `${JSON.stringify(shown)} is not a ${kind} of this request.`,
      meant === null ? `Known are: ${allowed.join(', ')}.` : `Did you mean ${meant}?`,
    );
  }
}

/**
 * A stable text of what a client sent, so that a cursor is good for that request only.
 *
 * @param scope what else the result depends on: the organization and the route
 */
export function canonicalOf(scope: string, sent: SentFilters, order: string): string {
  const filters = Object.keys(sent)
    .filter((name) => has(sent, name) && !PAGE_NAMES.includes(name))
    .sort();
  return JSON.stringify([scope, order, filters.map((name) => [name, sent[name]])]);
}

/** Names that choose a page of the result, not what is in it. */
export const PAGE_NAMES: readonly string[] = ['limit', 'offset', 'cursor', 'order'];

export function has(sent: SentFilters, name: string): boolean {
  return sent[name] !== undefined && sent[name] !== null;
}

/** A text that a rule allows. */
export function textOf(sent: SentFilters, name: string, rule: TextRule): string {
  return checked(sent[name], name, rule);
}

function checked(value: unknown, field: string, rule: TextRule): string {
  if (typeof value === 'string' && rule.regex.test(value)) return value;
  throw invalid(field, `${field} ${rule.must}.`);
}

/** A text without a pattern; '' is refused, as an unset variable must not widen a result. */
export function literalOf(sent: SentFilters, name: string, max: number): string {
  const value = sent[name];
  if (typeof value !== 'string') throw invalid(name, `${name} must be a string.`);
  if (value === '') throw invalid(name, `${name} must not be empty; leave it out instead.`);
  if (!hasAtMost(value, max)) throw invalid(name, `${name} must be at most ${max} characters.`);
  if (!isStorable(value)) throw invalid(name, `${name} ${STORABLE_MUST}.`);
  return value;
}

function shareOf(sent: SentFilters, name: string): number {
  const value = sent[name];
  if (typeof value === 'number' && value >= 0 && value <= 1) return value;
  throw invalid(name, `${name} must be a number from 0 to 1.`);
}

/** `name` alone (a query parameter) or a list under its plural (a body). */
function listOf(
  sent: SentFilters,
  name: string,
  rule: TextRule,
  max: number,
): string[] | undefined {
  if (has(sent, name)) return [textOf(sent, name, rule)];
  return itemsOf(sent, `${name}s`, rule, max);
}

/** The tags of a query parameter: a text with commas. */
export function tagsIn(csv: string): string[] {
  const tags = csv.split(',').map((tag) => tag.trim());
  if (tags.length > TAGS_MAX) throw invalid('tags', `tags must be at most ${TAGS_MAX}.`);
  if (tags.every((tag) => TAG_RULE.regex.test(tag))) return tags;
  throw invalid('tags', `tags must be a comma-separated list; each ${TAG_RULE.must}.`);
}

/** An empty list is absent. */
function itemsOf(
  sent: SentFilters,
  name: string,
  rule: TextRule,
  max: number,
): string[] | undefined {
  if (!has(sent, name)) return undefined;
  const value = sent[name];
  if (!Array.isArray(value)) throw invalid(name, `${name} must be a list of strings.`);
  if (value.length > max) throw invalid(name, `${name} must be at most ${max}.`);
  const items = value.map((item: unknown, i) => checked(item, `${name}[${i}]`, rule));
  return items.length === 0 ? undefined : items;
}
