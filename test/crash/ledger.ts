import { createHash } from 'node:crypto';
import type { Memory, NewMemory } from '../support/memory.js';

/**
 * What the clients sent and what they were told, held outside the server, so that after a crash
 * every event can be accounted for: acknowledged ⊆ stored ⊆ sent, none twice, none altered.
 */
export class Ledger {
  private readonly byContent = new Map<string, Entry>();
  private readonly groups = new Map<number, Entry[]>();
  private nextGroup = 1;

  /** Notes events before they are sent. With `whole` they are stored all or not at all. */
  send(events: readonly NewMemory[], whole = false): Entry[] {
    const group = whole ? this.nextGroup++ : 0;
    const entries = events.map((event) => newEntry(event, group));
    for (const entry of entries) this.byContent.set(entry.content, entry);
    if (whole) this.groups.set(group, entries);
    return entries;
  }

  get size(): number {
    return this.byContent.size;
  }

  count(state: Entry['state']): number {
    let n = 0;
    for (const entry of this.byContent.values()) if (entry.state === state) n += 1;
    return n;
  }

  get deleted(): number {
    let n = 0;
    for (const entry of this.byContent.values()) if (entry.deletion === 'acked') n += 1;
    return n;
  }

  entries(): Iterable<Entry> {
    return this.byContent.values();
  }

  /** Compares everything the server holds with what it was told and what it promised. */
  check(rows: readonly Memory[]): Finding[] {
    const findings: Finding[] = [];
    const seen = new Map<string, Memory>();
    for (const row of rows) {
      const first = seen.get(row.content);
      if (first !== undefined) findings.push(finding('doubled', row, `also as ${first.id}`));
      seen.set(row.content, row);
      this.checkRow(row, findings);
    }
    for (const entry of this.byContent.values()) {
      const owed = entry.state === 'acked' && entry.deletion === 'none';
      if (owed && !seen.has(entry.content)) {
        findings.push({ kind: 'lost', id: entry.id ?? '?', text: entry.content });
      }
    }
    this.checkGroups(seen, findings);
    this.adopt(seen);
    return findings;
  }

  private checkRow(row: Memory, findings: Finding[]): void {
    const entry = this.byContent.get(row.content);
    if (entry === undefined) {
      findings.push(finding('invented', row, 'never sent'));
    } else if (entry.deletion === 'acked') {
      findings.push(finding('revived', row, 'its deletion was acknowledged'));
    } else if (entry.id !== undefined && entry.id !== row.id) {
      findings.push(finding('altered', row, `the id was ${entry.id}`));
    } else if (digest(row, entry.hasTime) !== entry.digest) {
      findings.push(finding('altered', row, canonical(row, entry.hasTime)));
    }
  }

  private checkGroups(seen: ReadonlyMap<string, Memory>, findings: Finding[]): void {
    for (const [group, entries] of this.groups) {
      const kept = entries.filter((entry) => entry.deletion === 'none');
      const present = kept.filter((entry) => seen.has(entry.content)).length;
      if (present === 0 || present === kept.length) continue;
      const text = `${present} of ${kept.length} of a batch, e.g. ${kept[0]?.content}`;
      findings.push({ kind: 'torn', id: `batch ${group}`, text });
    }
  }

  /** What was seen after a restart must stay so: readers may have acted on it. */
  private adopt(seen: ReadonlyMap<string, Memory>): void {
    for (const [content, row] of seen) {
      const entry = this.byContent.get(content);
      if (entry === undefined || entry.deletion === 'acked') continue;
      entry.state = 'acked';
      entry.id = row.id;
      entry.deletion = 'none';
    }
    for (const entry of this.byContent.values()) {
      if (entry.deletion === 'asked' && !seen.has(entry.content)) entry.deletion = 'acked';
    }
  }
}

export interface Entry {
  readonly content: string;
  readonly sessionId: string;
  readonly digest: string;
  readonly hasTime: boolean;
  /** 0: stands alone. */
  readonly group: number;
  /** sent: no answer came, or a refusal, so it may be stored at most once. */
  state: 'sent' | 'acked';
  id?: string;
  deletion: 'none' | 'asked' | 'acked';
}

export interface Finding {
  kind: 'lost' | 'doubled' | 'altered' | 'torn' | 'revived' | 'invented' | 'answer';
  id: string;
  text: string;
}

function newEntry(event: NewMemory, group: number): Entry {
  const hasTime = event.time !== undefined;
  return {
    content: event.content,
    sessionId: event.session_id ?? '',
    digest: digest(event, hasTime),
    hasTime,
    group,
    state: 'sent',
    deletion: 'none',
  };
}

function digest(memory: NewMemory, withTime: boolean): string {
  return createHash('sha1').update(canonical(memory, withTime)).digest('base64');
}

/** Everything that must come back as sent; events here leave no field to a default. */
function canonical(memory: NewMemory, withTime: boolean): string {
  return JSON.stringify([
    memory.agent_id,
    memory.session_id,
    memory.memory_type,
    memory.event_type,
    memory.content,
    memory.metadata,
    memory.tags,
    memory.importance,
    memory.parent_id,
    withTime ? memory.time : '',
  ]);
}

function finding(kind: Finding['kind'], row: Memory, text: string): Finding {
  return { kind, id: row.id, text: `${row.content.slice(0, 60)}: ${text}` };
}
