#!/usr/bin/env node
import { VERSION } from '../../internal/engine/version.js';
import { stdioSettings } from '../../internal/mcp/settings.js';
import { serveStdio } from '../../internal/mcp/stdio.js';

/** The MCP server alone, for clients that start a file. Flags: see `memtrace mcp`. */
try {
  await serveStdio(stdioSettings({}), VERSION);
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
