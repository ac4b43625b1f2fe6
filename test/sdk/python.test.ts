import { execFile, spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { cleanEnv } from '../support/server.js';

/**
 * The Python SDK as its users get it: built, installed from the wheel, its clients driven against
 * the real server. Its whole suite, with the agent frameworks, is sdk/python/run-tests.sh.
 */
const SCRIPT = resolve(import.meta.dirname, '../../sdk/python/run-tests.sh');
const RECENT = 'import sys, venv; sys.exit(sys.version_info < (3, 10))';
const hasPython = spawnSync('python3', ['-c', RECENT]).status === 0;
if (!hasPython) console.warn('skipped: the Python SDK needs python3, 3.10 or newer, with venv');

test.skipIf(!hasPython)(
  'the clients of the Python SDK work from the built wheel',
  async () => {
    const { stdout } = await promisify(execFile)(SCRIPT, ['--short'], { env: cleanEnv() });
    expect(stdout).toMatch(/\d+ passed/);
  },
  300_000,
);
