import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The real tools that the tests of deployment files drive, and what to say where one is absent. */
export const ROOT = resolve(import.meta.dirname, '../..');

const CACHE = join(ROOT, 'node_modules/.cache/deploy');
const KUBERNETES_VALIDATE = 'kubernetes-validate==1.37.0';
const STALE_LOCK_MS = 300_000;

/** The first of these programs that is there; null without any. */
export function tool(...names: string[]): string | null {
  for (const name of names) {
    const found = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' });
    if (found.status === 0) return found.stdout.trim();
  }
  return null;
}

/** Prints why tests are left out; the value is for `describe.skipIf`. */
export function missing(what: string, ...needed: readonly unknown[]): boolean {
  const absent = needed.some((one) => one === null);
  if (absent) console.warn(`SKIPPED: ${what} cannot be had here; see .ci/run for what installs it`);
  return absent;
}

/** Standard output of a program that must end with 0. */
export function run(program: string, args: readonly string[], input?: string): string {
  return execFileSync(program, args, {
    cwd: ROOT,
    encoding: 'utf8',
    input,
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** A Go module's folder in the module cache, fetched if need be; null without Go or a network. */
export function goModule(module: string): string | null {
  if (tool('go') === null) return null;
  const result = spawnSync('go', ['mod', 'download', '-json', module], {
    encoding: 'utf8',
    timeout: 120_000,
    env: { ...process.env, GOFLAGS: '-mod=mod' },
    cwd: '/',
  });
  if (result.status !== 0) return null;
  const { Dir } = JSON.parse(result.stdout) as { Dir?: string };
  return Dir ?? null;
}

/**
 * A Python with PyYAML, jsonschema and the Kubernetes schemas: made once below node_modules/.cache
 * (20 s). null without Python or a network.
 */
export async function python(): Promise<string | null> {
  const home = join(CACHE, 'python');
  const program = join(home, 'bin/python');
  if (existsSync(program)) return program;
  mkdirSync(CACHE, { recursive: true });
  const lock = join(CACHE, 'python.lock');
  while (!takes(lock)) {
    await sleep(250);
    if (existsSync(program)) return program;
  }
  try {
    return existsSync(program) || (await installPython(home)) ? program : null;
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

function takes(lock: string): boolean {
  try {
    mkdirSync(lock);
    return true;
  } catch {
    const age = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > STALE_LOCK_MS) rmSync(lock, { recursive: true, force: true });
    return false;
  }
}

async function installPython(home: string): Promise<boolean> {
  const temporary = `${home}.${process.pid}`;
  rmSync(temporary, { recursive: true, force: true });
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
  const done =
    (await succeeds('python3', ['-m', 'venv', temporary])) &&
    (await succeeds(join(temporary, 'bin/python'), [...pip, KUBERNETES_VALIDATE]));
  if (done) renameSync(temporary, home);
  else rmSync(temporary, { recursive: true, force: true });
  return done;
}

function succeeds(program: string, args: readonly string[]): Promise<boolean> {
  const child = spawn(program, args, { stdio: 'ignore' });
  return new Promise((done) => {
    child.once('error', () => done(false));
    child.once('close', (code) => done(code === 0));
  });
}

/** What objects.py prints. */
export function objects<T>(python: string, args: readonly string[], input?: string): T {
  const script = join(import.meta.dirname, 'objects.py');
  return JSON.parse(run(python, [script, ...args], input ?? '')) as T;
}

/** Every document of YAML files, paths from the repository's root. */
export function loadYaml<T>(python: string, ...paths: string[]): T[] {
  return objects<T[]>(python, ['load', ...paths.map((path) => join(ROOT, path))]);
}
