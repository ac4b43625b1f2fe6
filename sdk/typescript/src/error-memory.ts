import type { MemoryExtras, MemoryInput } from './types.js';

/** Well below the server's limits of content and metadata, in characters. */
const MESSAGE_CHARACTERS = 16_000;
const STACK_CHARACTERS = 4_000;

/** An error as a memory: `event_type` is `error`, which contexts and statistics count. */
export function errorMemory(agentId: string, error: unknown, extras: MemoryExtras): MemoryInput {
  const { name, message, stack } = partsOf(error);
  return {
    memory_type: 'episodic',
    importance: 0.7,
    ...extras,
    event_type: 'error',
    agent_id: agentId,
    content: wellFormed(message.slice(0, MESSAGE_CHARACTERS)) || name,
    metadata: { error: name, ...(stack === undefined ? {} : { stack }), ...extras.metadata },
  };
}

function partsOf(error: unknown): { name: string; message: string; stack?: string } {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const stack = error.stack?.slice(0, STACK_CHARACTERS);
  return {
    name: error.name || 'Error',
    message: error.message,
    ...(stack === undefined ? {} : { stack: wellFormed(stack) }),
  };
}

/** What the server takes as text: no NUL, no half of a surrogate pair. */
export function wellFormed(text: string): string {
  return new TextDecoder().decode(new TextEncoder().encode(text)).replaceAll('\0', '');
}
