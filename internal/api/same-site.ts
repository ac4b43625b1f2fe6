import type { Config } from '../config/table.js';
import { Fault } from '../fault/fault.js';
import type { HttpRequest } from './http.js';

/**
 * Keeps web pages out that were not let in: MCP's defence against DNS rebinding
 * (https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#security-warning).
 * A page whose own name was made to point here sends that name as Origin and as Host.
 *
 * Programs send no Origin. A page may call if it is configured, or if both it and this server go
 * by a loopback name. Where no key is needed, a server on loopback only answers to loopback names
 * and to those of configured origins; with keys, a proxy may stand before it under any name.
 *
 * @throws Fault permission_denied
 */
export function refuseCrossSite(
  http: Pick<HttpRequest, 'header'>,
  { server, auth }: Pick<Config, 'server' | 'auth'>,
): void {
  const { host, corsOrigins } = server;
  if (corsOrigins.includes('*')) return;
  const addressed = hostName(`http://${http.header('host') ?? ''}`);
  if (!auth.enabled && isLoopback(host) && !isLoopback(addressed)) {
    const named = corsOrigins.some((one) => hostName(one) === addressed);
    if (!named) throw refused('Host', 'this server answers to loopback names only');
  }
  const origin = http.header('origin');
  if (origin === undefined || corsOrigins.includes(origin)) return;
  if (isLoopback(hostName(origin)) && isLoopback(addressed)) return;
  throw refused('Origin', 'web pages of this Origin may not call this server');
}

function refused(field: string, message: string): Fault {
  return new Fault('permission_denied', message, {
    field,
    hint: 'an operator can add the origin to server.cors_origins',
  });
}

/** '' for what is no URL, such as the Origin `null`. */
function hostName(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname : '';
}

/** 127.0.0.0/8, ::1, and the names that never leave the machine (RFC 6761, 6.3). */
function isLoopback(name: string): boolean {
  const bare = name.replace(/^\[|\]$/g, '').toLowerCase();
  return bare === '::1' || /^127(\.\d{1,3}){3}$/.test(bare) || /^(.+\.)?localhost$/.test(bare);
}
