/** The environment variables of a process. */
export type Env = Readonly<Record<string, string | undefined>>;

/** The environment of this process: the only place of the program that reads it. */
export function processEnv(): Env {
  return process.env;
}

/** Threads of libuv's pool if UV_THREADPOOL_SIZE says nothing else. */
const DEFAULT_POOL = 4;

/**
 * How many queries may really run at once. Each holds a thread of libuv's pool, which file calls
 * and gzip need too: two threads are left to them. To have more, start with a larger
 * UV_THREADPOOL_SIZE (it cannot be changed from within).
 */
export function queriesAtOnce(asked: number, env: Env = processEnv()): number {
  const pool = Number(env['UV_THREADPOOL_SIZE'] ?? DEFAULT_POOL) || DEFAULT_POOL;
  return Math.max(1, Math.min(asked, pool - 2));
}

/** The S3 client tells every operator on standard error which Node its authors will drop next. */
export function quietS3Client(): void {
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
}
