import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { NewMemory } from '../../support/memory.js';

export const AGENTS = 50;
/** Sessions that get events at the same time; each gets about a hundred. */
export const ACTIVE_SESSIONS = 64;
export const EVENTS_PER_SESSION = 100;
const LINES_PER_WRITE = 1_000;

export const TEXTS = [
  'Crawled the product page and extracted the price table, the stock level and three reviews',
  '抓取了商品页面并提取价格表、库存和三条评论，下一页已加入队列，等待调度器分配新的会话',
  'Tool call failed with status 503 after two retries, 退避三十秒后重试, the user was told about it',
  '用户偏好深色模式 and short answers, prefers metric units, works in UTC+8, reads on Mondays',
] as const;
export const TYPES = ['episodic', 'episodic', 'decision', 'entity'] as const;

/** The session of the nth event: 64 sessions take turns until each has had its hundred. */
export function sessionOf(label: string, n: number): string {
  const block = Math.floor(n / (ACTIVE_SESSIONS * EVENTS_PER_SESSION));
  return `s-${label}-${block * ACTIVE_SESSIONS + (n % ACTIVE_SESSIONS)}`;
}

/** The nth event of a run, about 150 bytes of content, different from all others. */
export function benchEvent(label: string, n: number, time?: string): NewMemory {
  const session = sessionOf(label, n);
  const event: NewMemory = {
    agent_id: `agent-${Number(session.slice(session.lastIndexOf('-') + 1)) % AGENTS}`,
    session_id: session,
    memory_type: TYPES[n % 4] ?? 'episodic',
    event_type: n % 97 === 0 ? 'error' : 'step',
    content: `${TEXTS[n % 4]} ${label}.${n}.${Math.floor(Math.random() * 1e9)}`,
    metadata: { step: n },
    tags: ['bench'],
    importance: (n % 10) / 10,
  };
  if (time !== undefined) event.time = time;
  return event;
}

export interface FileOptions {
  path: string;
  label: string;
  count: number;
  /** The events are spread evenly over this many days back from now; 0: no time is sent. */
  days: number;
}

/** Writes events as newline-delimited JSON. */
export async function writeEvents(options: FileOptions): Promise<void> {
  const out = createWriteStream(options.path);
  const endMs = Date.now();
  const stepMs = (options.days * 86_400_000) / options.count;
  for (let n = 0; n < options.count; n += LINES_PER_WRITE) {
    const lines: string[] = [];
    for (let i = n; i < Math.min(n + LINES_PER_WRITE, options.count); i += 1) {
      const time = new Date(endMs - (options.count - i) * stepMs).toISOString();
      lines.push(JSON.stringify(benchEvent(options.label, i, stepMs > 0 ? time : undefined)));
    }
    if (!out.write(`${lines.join('\n')}\n`)) await once(out, 'drain');
  }
  out.end();
  await once(out, 'finish');
}
