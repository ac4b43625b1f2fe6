import { setImmediate } from 'node:timers/promises';

type Http = typeof import('./http.js');

let loading: Promise<Http> | null = null;

/**
 * The transport of http.ts, loaded with the first request: the SDK takes longer than all the rest
 * of the start. Its heaviest parts come one at a time, so that the event loop is let go between.
 */
export function loadHttp(): Promise<Http> {
  loading ??= load().catch((error: unknown) => {
    loading = null;
    throw error;
  });
  return loading;
}

async function load(): Promise<Http> {
  const parts = [
    () => import('@modelcontextprotocol/sdk/server/zod-compat.js'),
    () => import('@modelcontextprotocol/sdk/validation/ajv'),
    () => import('@modelcontextprotocol/sdk/types.js'),
    () => import('@modelcontextprotocol/sdk/server/index.js'),
  ];
  for (const part of parts) {
    await part();
    await setImmediate();
  }
  return import('./http.js');
}
