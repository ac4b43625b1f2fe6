import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { cli } from '../support/cli.js';
import { tempDir } from '../support/server.js';
import type { Container } from './kubernetes.js';

interface CheckedConfig {
  values: Map<string, unknown>;
  unsupported: string[];
}

/** `memtrace config check` over the file, with the container's plain variables. */
export async function checkedConfig(toml: string, container: Container): Promise<CheckedConfig> {
  const folder = tempDir('memtrace-k8s-');
  const file = join(folder, 'memtrace.toml');
  writeFileSync(file, toml);
  const env = Object.fromEntries(
    (container.env ?? []).flatMap(({ name, value }) =>
      value === undefined ? [] : [[name, value]],
    ),
  );
  // What the image sets; the test's own data directory must not win.
  env['MEMTRACE_STORAGE_DATA_DIR'] = '/app/data';
  const { code, stdout } = await cli(folder, ['config', 'check', '--json', '--config', file], env);
  expect(code, stdout).toBe(0);
  const checked = JSON.parse(stdout) as {
    options: { option: string; value: unknown }[];
    warnings: string[];
    unsupported: string[];
  };
  expect(checked.warnings).toEqual([]);
  const values = new Map(checked.options.map(({ option, value }) => [option, value]));
  return { values, unsupported: checked.unsupported };
}
