import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { S3Settings } from '../../internal/objects/s3.js';

/** The S3 server that tests drive (https://github.com/versity/versitygw), or null: why not. */
export const S3_PROGRAM = findProgram();
export const NO_S3 =
  'there is no versitygw: go install github.com/versity/versitygw/cmd/versitygw@v1.8.0';

function findProgram(): string | null {
  const own = join(homedir(), 'go/bin/versitygw');
  const names = ['versitygw', own];
  return names.find((name) => spawnSync(name, ['--version']).status === 0) ?? null;
}

export interface S3Server {
  settings: S3Settings;
  /** The bucket that is there. */
  bucket: string;
  /** The directory whose files are the objects of the bucket. */
  folder: string;
  /** What a program needs to reach it through the options of [backup]. */
  env: Record<string, string>;
  stop(): Promise<void>;
}

const ACCESS_KEY = 'backup-test';
const SECRET_KEY = 'not-a-secret-but-must-never-be-printed';

/** Starts a real S3 server on a free port, with one bucket. */
export async function startS3(): Promise<S3Server> {
  const root = mkdtempSync(join(tmpdir(), 's3-'));
  const folder = join(root, 'store/bucket');
  mkdirSync(folder, { recursive: true });
  mkdirSync(join(root, 'meta'));
  const port = await freePort();
  const process = spawn(
    S3_PROGRAM ?? 'versitygw',
    [
      '--port',
      `127.0.0.1:${port}`,
      '--access',
      ACCESS_KEY,
      '--secret',
      SECRET_KEY,
      '--quiet',
    ].concat(['posix', '--sidecar', join(root, 'meta'), join(root, 'store')]),
    { stdio: 'ignore' },
  );
  const endpoint = `http://127.0.0.1:${port}`;
  await answering(endpoint, process);
  return {
    settings: {
      endpoint,
      region: 'us-east-1',
      pathStyle: true,
      accessKey: ACCESS_KEY,
      secretKey: SECRET_KEY,
    },
    bucket: 'bucket',
    folder,
    env: {
      MEMTRACE_BACKUP_S3_ENDPOINT: endpoint,
      MEMTRACE_BACKUP_S3_REGION: 'us-east-1',
      MEMTRACE_BACKUP_S3_PATH_STYLE: 'true',
      MEMTRACE_BACKUP_S3_ACCESS_KEY: ACCESS_KEY,
      MEMTRACE_BACKUP_S3_SECRET_KEY: SECRET_KEY,
    },
    stop: () => stop(process, root),
  };
}

async function answering(endpoint: string, process: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (process.exitCode !== null) throw new Error(`versitygw exited with ${process.exitCode}`);
    const answered = await fetch(endpoint).then(
      () => true,
      () => false,
    );
    if (answered) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('versitygw does not answer');
}

async function stop(process: ChildProcess, root: string): Promise<void> {
  if (process.exitCode === null) {
    const ended = new Promise((resolve) => process.once('exit', resolve));
    process.kill('SIGKILL');
    await ended;
  }
  if (existsSync(root)) rmSync(root, { recursive: true });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0));
    });
  });
}
