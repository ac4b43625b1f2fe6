import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { cleanEnv, PROGRAM } from './server.js';

export interface CliResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the built program to its end, e.g. `cli(dataDir, ['org', 'create', 'acme', '--json'])`. */
export function cli(
  dataDir: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<CliResult> {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    cwd: tmpdir(),
    env: cleanEnv({ MEMTRACE_STORAGE_DATA_DIR: dataDir, ...env }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const result: CliResult = { code: null, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    result.stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    result.stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ ...result, code }));
  });
}

/** Creates an organization with one key on a live or stopped data directory. */
export async function createOrg(
  dataDir: string,
  name: string,
  permissions = 'read,write,admin',
): Promise<{ id: string; key: string }> {
  const org = await cliJson(dataDir, ['org', 'create', name, '--json']);
  const key = await createKey(dataDir, name, permissions);
  return { id: String(org['id']), key: key.key };
}

/** Another key of an organization. */
export async function createKey(
  dataDir: string,
  org: string,
  permissions: string,
): Promise<{ id: string; key: string }> {
  const name = `test-${permissions.replaceAll(',', '-')}`;
  const args = ['key', 'create', '--org', org, '--name', name, '--permissions', permissions];
  const key = await cliJson(dataDir, [...args, '--json']);
  return { id: String(key['id']), key: String(key['key']) };
}

async function cliJson(dataDir: string, args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await cli(dataDir, args);
  if (code !== 0) throw new Error(`memtrace ${args.join(' ')} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as Record<string, unknown>;
}
