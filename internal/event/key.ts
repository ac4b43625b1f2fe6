import { hash } from 'node:crypto';
import { formatUs } from '../base/clock.js';
import { fitsUtf8 } from './text.js';

/** What a computed deduplication key is made of. */
export interface KeyParts {
  agentId: string;
  sessionId: string;
  eventType: string;
  content: string;
  /** The event time in µs if the client sent one: equal events of different times differ. */
  timeUs: number | null;
}

/**
 * The first 32 hex digits of SHA-256 over `agent|session|event type|content`, then `|time` if the
 * client sent one. Ids hold no `|`, so different parts never make one text.
 *
 * @param contentBytes hash only so many first bytes of the content; 0 = all of it
 */
export function dedupKeyOf(parts: KeyParts, contentBytes: number): string {
  const head = `${parts.agentId}|${parts.sessionId}|${parts.eventType}|`;
  const tail = parts.timeUs === null ? '' : `|${formatUs(parts.timeUs)}`;
  const whole = contentBytes === 0 || fitsUtf8(parts.content, contentBytes);
  const input = whole
    ? head + parts.content + tail
    : Buffer.concat([
        Buffer.from(head),
        Buffer.from(parts.content).subarray(0, contentBytes),
        Buffer.from(tail),
      ]);
  return hash('sha256', input, 'hex').slice(0, 32);
}
