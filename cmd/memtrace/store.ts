import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { Keys } from '../../internal/auth/keys.js';
import { systemClock } from '../../internal/base/clock.js';
import { UlidFactory } from '../../internal/base/ulid.js';
import { processEnv } from '../../internal/config/env.js';
import { loadConfig } from '../../internal/config/load.js';
import { unsupported } from '../../internal/config/rules.js';
import type { Config } from '../../internal/config/table.js';
import type { Metadata } from '../../internal/metadata/metadata.js';
import { openSqliteMetadata } from '../../internal/metadata/sqlite/sqlite.js';
import { configFlags } from './config.js';

/** The configuration that a command works with; warnings go to standard error. */
export function configOf(command: Command): Config {
  return configFrom(configFlags(command));
}

/** The same from flags. Throws ConfigError, or an Error for what this version cannot honour. */
export function configFrom(flags: Record<string, string>): Config {
  const { config, warnings } = loadConfig({ flags, env: processEnv(), cwd: process.cwd() });
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
  const refused = unsupported(config);
  if (refused.length > 0) throw new Error(refused.join('; '));
  return config;
}

export interface MetadataAccess {
  metadata: Metadata;
  keys: Keys;
}

/** Runs on the metadata store, beside a running server too; it sees changes within 5 s. */
export async function withMetadata<T>(
  config: Config,
  run: (access: MetadataAccess) => Promise<T>,
): Promise<T> {
  const path = config.auth.dbPath;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const metadata = await openSqliteMetadata({ path });
  try {
    return await run({ metadata, keys: new Keys(metadata, systemClock, new UlidFactory(), null) });
  } finally {
    await metadata.close();
  }
}
