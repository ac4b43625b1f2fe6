import type { Batcher } from './batcher.js';
import type { Memtrace } from './client.js';
import { errorMemory, wellFormed } from './error-memory.js';
import type { MemoryInput } from './types.js';

const CONTENT_CHARACTERS = 8_000;
const DETAIL_CHARACTERS = 2_000;

/** Where the events of a framework's run belong. */
export interface RecorderOptions {
  agentId: string;
  sessionId?: string;
}

/**
 * Events of a run, sent in the background by a batcher, as the hooks of frameworks cannot wait.
 * Each has a dedup_key of its own: a tool called twice alike was called twice.
 */
export class Recorder {
  private readonly batcher: Batcher;
  private readonly options: RecorderOptions;

  constructor(client: Memtrace, options: RecorderOptions) {
    this.options = options;
    // One lane: what happened after something else is stored after it.
    this.batcher = client.batcher({ lanes: 1 });
  }

  /** @param agentId default: that of the recorder */
  event(eventType: string, text: string, details: Record<string, unknown>, agentId?: string): void {
    this.add({
      agent_id: agentId ?? this.options.agentId,
      event_type: eventType,
      content: textOf(text, CONTENT_CHARACTERS) || eventType,
      metadata: shortened(details),
    });
  }

  error(error: unknown, details: Record<string, unknown>, agentId?: string): void {
    const metadata = shortened(details);
    this.add(errorMemory(agentId ?? this.options.agentId, error, { metadata }));
  }

  /** Resolves when all that was recorded is durable. */
  flush(): Promise<void> {
    return this.batcher.flush();
  }

  close(): Promise<void> {
    return this.batcher.close();
  }

  private add(memory: MemoryInput): void {
    const { sessionId } = this.options;
    const session = sessionId === undefined ? {} : { session_id: sessionId };
    const event = { ...memory, ...session, dedup_key: crypto.randomUUID() };
    // What goes wrong is told by flush.
    this.batcher.add(event).catch(() => undefined);
  }
}

/** Agents of frameworks have names with spaces and more. */
export function agentIdOf(name: string): string {
  const id = name.replace(/[^a-zA-Z0-9_-]/g, '_').slice(0, 128);
  return /^[a-zA-Z]/.test(id) ? id : `agent_${id}`.slice(0, 128);
}

/** A value as text that fits. */
export function textOf(value: unknown, characters = DETAIL_CHARACTERS): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return wellFormed(text.slice(0, characters));
}

function shortened(details: Record<string, unknown>): Record<string, unknown> {
  const known = Object.entries(details).filter(([, value]) => value !== undefined);
  return Object.fromEntries(known.map(([name, value]) => [name, textOf(value)]));
}
