import type { AgentStats, AgentView } from '../agent/agents.js';
import { formatUs } from '../base/clock.js';
import { TextBuffer } from '../base/text-buffer.js';
import type { Event } from '../event/event.js';
import { memoryJson } from '../event/json.js';
import { writeMemory } from '../event/rowlines.js';
import type { RememberedBatch } from '../memory/remember.js';
import type { Deletion, Key, Org, Session } from '../metadata/metadata.js';
import type { Incomplete } from '../store/store.js';

/** Domain objects → the members of the wire contract. Absent optional members are left out. */

export function memoriesJson(events: readonly Event[]): string {
  return `[${events.map((event) => memoryJson(event)).join(',')}]`;
}

/** `…,"deleted":true}` for a repeated answer whose memory is gone. */
export function rememberedJson(remembered: RememberedBatch['memories'][number]): string {
  const { event, deleted, content } = remembered;
  const text = memoryJson(event, content);
  return deleted ? `${text.slice(0, -1)},"deleted":true}` : text;
}

const buffer = new TextBuffer();

/** The answer to a batch, as bytes: it is long, and its contents were escaped for the log. */
export function batchBytes({ memories, duplicates, skipped }: RememberedBatch): Buffer {
  buffer.ascii('{"memories":[');
  for (let i = 0; i < memories.length; i++) {
    if (i > 0) buffer.ascii(',');
    const { event, deleted, content } = memories[i];
    if (deleted || content === undefined) buffer.text(rememberedJson(memories[i]));
    else writeMemory(buffer, { event, content });
  }
  buffer.ascii(`],"count":${memories.length},"duplicates":${duplicates}`);
  if (skipped.length > 0) buffer.ascii(`,"skipped":${JSON.stringify(skipped)}`);
  buffer.ascii('}');
  return buffer.take();
}

/** Present only where a damaged file was left out: the caller must know (C6). */
export function incompleteView(incomplete: Incomplete | undefined) {
  if (incomplete === undefined) return {};
  const { files, sinceUs, untilUs } = incomplete;
  return {
    incomplete: true,
    incomplete_window: { files, since: formatUs(sinceUs), until: formatUs(untilUs) },
  };
}

/** Present only where the time limit came before the end: `next_cursor` goes on from there. */
export function partialView(searchedUs: number | undefined) {
  return searchedUs === undefined ? {} : { partial: true, searched_until: formatUs(searchedUs) };
}

export function agentView(agent: AgentView) {
  return {
    id: agent.id,
    org_id: agent.orgId,
    name: agent.name,
    ...(agent.description === '' ? {} : { description: agent.description }),
    ...objectOf('config', agent.configJson),
    created_at: formatUs(agent.createdUs),
    ...timeOf('last_active_at', agent.lastActiveUs),
    ...incompleteView(agent.incomplete),
  };
}

export function statsView(stats: AgentStats) {
  return {
    agent_id: stats.agentId,
    memory_count: stats.memoryCount,
    memories_24h: stats.memories24h,
    errors_24h: stats.errors24h,
    session_count: stats.sessionCount,
    active_sessions: stats.activeSessions,
    ...timeOf('last_active_at', stats.lastActiveUs),
    memory_types: stats.memoryTypes,
    ...incompleteView(stats.incomplete),
  };
}

export function sessionView(session: Session) {
  return {
    id: session.id,
    org_id: session.orgId,
    agent_id: session.agentId,
    status: session.status,
    ...objectOf('metadata', session.metadataJson),
    created_at: formatUs(session.createdUs),
    updated_at: formatUs(session.updatedUs),
    ...timeOf('closed_at', session.closedUs),
  };
}

export function keyView(key: Key) {
  return {
    id: key.id,
    name: key.name,
    prefix: key.prefix,
    permissions: key.permissions,
    created_at: formatUs(key.createdUs),
    ...timeOf('expires_at', key.expiresUs),
    ...timeOf('revoked_at', key.revokedUs),
    ...timeOf('last_used_at', key.lastUsedUs),
  };
}

export function orgView(org: Org) {
  return { id: org.id, name: org.name, created_at: formatUs(org.createdUs) };
}

/** @param filesLeft files that may still hold bytes of it */
export function erasureView(erasure: Deletion, filesLeft: number) {
  return {
    id: erasure.id,
    state: erasure.state,
    requested_at: formatUs(erasure.requestedUs),
    deadline: formatUs(erasure.deadlineUs),
    ...timeOf('done_at', erasure.doneUs),
    files_left: filesLeft,
  };
}

function timeOf(name: string, timeUs: number | null): Record<string, string> {
  return timeUs === null ? {} : { [name]: formatUs(timeUs) };
}

function objectOf(name: string, text: string): Record<string, unknown> {
  return text === '' ? {} : { [name]: JSON.parse(text) as unknown };
}
