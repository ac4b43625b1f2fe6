import type { Context } from 'hono';
import type { Host } from '../engine/services.js';
import { VERSION } from '../engine/version.js';
import type { Env } from './http.js';

/** Routes of operators: no key, and no tenant, path or bucket name in an answer. */

/** GET /health: 200 while the process lives. */
export function health(c: Context<Env>, host: Host): Response {
  const uptime = goDuration(host.uptimeMs());
  return c.json({ status: 'ok', service: 'memtrace', version: VERSION, uptime });
}

/** GET /ready */
export async function ready(c: Context<Env>, host: Host): Promise<Response> {
  const { state, checks } = await host.readiness();
  const headers: Record<string, string> = state === 'not ready' ? { 'retry-after': '1' } : {};
  return c.json({ status: state, checks }, state === 'not ready' ? 503 : 200, headers);
}

/** GET /metrics */
export async function metrics(_c: Context<Env>, host: Host): Promise<Response> {
  const { text, contentType } = await host.metrics.render();
  return new Response(text, { headers: { 'content-type': contentType } });
}

/** `2h30m15s`, as Go prints a duration. */
function goDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const h = hours > 0 ? `${hours}h` : '';
  const m = hours > 0 || minutes > 0 ? `${minutes}m` : '';
  return `${h}${m}${seconds % 60}s`;
}
