import type { Command } from 'commander';
import { VERSION } from '../../internal/engine/version.js';
import { stdioSettings } from '../../internal/mcp/settings.js';

/** memtrace mcp */
export function registerMcp(memtrace: Command): void {
  memtrace
    .command('mcp')
    .description('MCP server over stdio, for a memtrace server that runs')
    .option('--url <url>', 'where it listens (MEMTRACE_URL; default http://localhost:9100)')
    .option('--key <key>', 'an API key (better: MEMTRACE_API_KEY, which no process list shows)')
    .action(async (flags: { url?: string; key?: string }) => {
      const settings = stdioSettings(flags);
      const { serveStdio } = await import('../../internal/mcp/stdio.js');
      await serveStdio(settings, VERSION);
    });
}
