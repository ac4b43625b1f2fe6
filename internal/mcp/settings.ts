import { type Env, processEnv } from '../config/env.js';

export interface StdioSettings {
  /** Without a slash at its end. */
  url: string;
  key: string;
}

/** The default of the original's MCP server too. */
const DEFAULT_URL = 'http://localhost:9100';

/** Flags go before the environment. Throws a sentence that says what to do. */
export function stdioSettings(
  flags: { url?: string; key?: string },
  env: Env = processEnv(),
): StdioSettings {
  const key = flags.key || env['MEMTRACE_API_KEY'];
  if (!key) {
    throw new Error('MEMTRACE_API_KEY is required: set it to a key of the memtrace server');
  }
  const url = flags.url || env['MEMTRACE_URL'] || DEFAULT_URL;
  if (!/^https?:\/\/[^/]/.test(url) || !URL.canParse(url)) {
    throw new Error(`MEMTRACE_URL must be like ${DEFAULT_URL}, not ${JSON.stringify(url)}`);
  }
  return { url: url.replace(/\/+$/, ''), key };
}
