import type { MemoryClient } from './client.js';

/** What can be read by URI: all of it is reading, so a key without `read` sees none. */

export const AGENTS_URI = 'memtrace://agents';
const CONTEXT_URI = /^memtrace:\/\/sessions\/([^/?#]+)\/context$/;
const MARKDOWN = 'text/markdown';
const JSON_TYPE = 'application/json';

export const RESOURCES = [
  {
    uri: AGENTS_URI,
    name: 'agents',
    title: 'Agents',
    description: 'The registered agents, newest first.',
    mimeType: JSON_TYPE,
  },
];

export const TEMPLATES = [
  {
    uriTemplate: 'memtrace://sessions/{id}/context',
    name: 'session_context',
    title: 'Session context',
    description: 'What happened in a session, as markdown for a prompt.',
    mimeType: MARKDOWN,
  },
];

export interface Content {
  uri: string;
  mimeType: string;
  text: string;
}

/** The content of a URI; null if there is no such resource. */
export async function readResource(client: MemoryClient, uri: string): Promise<Content | null> {
  if (uri === AGENTS_URI) {
    const { text } = await client.listAgents();
    return { uri, mimeType: JSON_TYPE, text };
  }
  const sessionId = CONTEXT_URI.exec(uri)?.[1];
  if (sessionId === undefined) return null;
  const { value } = await client.context(sessionId);
  return { uri, mimeType: MARKDOWN, text: String(value.context) };
}
