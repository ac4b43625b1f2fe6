import type { Opened } from './opened.js';
import type { Readiness } from './services.js';

export interface Phase {
  replaying: boolean;
  /** Events read back so far. */
  replayed: number;
  draining: boolean;
}

/** How often a flush may fail in a row before the server says so. */
const FLUSH_FAILURES = 3;
const PING_MS = 2_000;

/**
 * `ready`: writes and reads can be served. `degraded`: only reads can, or a damaged file was left
 * out. `not ready`: neither. Only what concerns everybody counts, never one tenant's trouble.
 */
export async function readinessOf(opened: Opened | null, phase: Phase): Promise<Readiness> {
  if (phase.draining) return { state: 'not ready', checks: { server: 'draining' } };
  if (opened === null || phase.replaying) {
    const progress = `reading the log back: ${phase.replayed} events so far`;
    return { state: 'not ready', checks: { log: progress } };
  }
  const checks: Record<string, string> = {
    log: logCheck(opened),
    metadata: await metadataCheck(opened),
    store: storeCheck(opened),
    flush: opened.flusher.failing >= FLUSH_FAILURES ? 'degraded: flushes fail' : 'ok',
  };
  const verdicts = Object.values(checks);
  if (verdicts.some((text) => text.startsWith('failed'))) return { state: 'not ready', checks };
  const ok = verdicts.every((text) => text === 'ok');
  return { state: ok ? 'ready' : 'degraded', checks };
}

function logCheck({ wal }: Opened): string {
  const { state, damagedRecords } = wal.health;
  if (state === 'failed') return 'failed: the log cannot be written';
  if (state === 'full') return 'degraded: the disk is full, writes are refused';
  return damagedRecords > 0 ? `degraded: ${damagedRecords} damaged records in quarantine` : 'ok';
}

async function metadataCheck({ metadata }: Opened): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('failed: no answer'), PING_MS);
  });
  const ping = metadata.ping().then(
    () => 'ok',
    () => 'failed: unreachable',
  );
  const verdict = await Promise.race([ping, late]);
  clearTimeout(timer);
  return verdict;
}

function storeCheck({ store }: Opened): string {
  const { state, detail } = store.health;
  if (state === 'ok') return 'ok';
  return `${state === 'unavailable' ? 'failed' : 'degraded'}: ${detail ?? state}`;
}
