import { request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Config } from '../../internal/config/table.js';
import { silentLogger } from '../../internal/telemetry/log.js';

interface Answer {
  progress?: unknown;
  result?: unknown;
  error?: string;
}

export interface Operation {
  command: string;
  args: Record<string, unknown>;
  onProgress?(progress: unknown): void;
}

/**
 * Runs a command on the store: through the control socket of the server that runs, or, if none
 * does, here, with the lock of the data directory taken.
 */
export async function operate<T>(config: Config, operation: Operation): Promise<T> {
  const path = join(config.storage.dataDir, 'control.sock');
  const online = await callServer<T>(path, operation);
  return online === null ? offline<T>(config, operation) : online.result;
}

/** Null if no server listens. */
function callServer<T>(socketPath: string, operation: Operation): Promise<{ result: T } | null> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method: 'POST', path: `/${operation.command}` });
    call.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(null);
      else reject(error);
    });
    call.on('response', (response) => {
      let ended = false;
      const lines = createInterface({ input: response });
      lines.on('line', (line) => {
        const answer = JSON.parse(line) as Answer;
        if (answer.progress !== undefined) operation.onProgress?.(answer.progress);
        if (answer.progress !== undefined) return;
        ended = true;
        if (answer.error !== undefined) reject(new Error(answer.error));
        else resolve({ result: answer.result as T });
      });
      lines.on('close', () => {
        if (!ended) reject(new Error('the server ended before it answered'));
      });
    });
    call.setHeader('content-type', 'application/json');
    call.end(JSON.stringify(operation.args));
  });
}

async function offline<T>(config: Config, operation: Operation): Promise<T> {
  // Loaded only here: neither a start nor a command to a running server need wait for these.
  const { COMMANDS } = await import('../../internal/api/control.js');
  const { Engine } = await import('../../internal/engine/engine.js');
  const { Metrics } = await import('../../internal/telemetry/metrics.js');
  const { VERSION } = await import('../../internal/engine/version.js');
  const engine = new Engine({
    config,
    log: silentLogger,
    metrics: new Metrics(VERSION),
    onFatal: (error) => {
      throw error;
    },
  });
  await engine.prepare();
  try {
    await engine.open();
    const { operator } = engine;
    if (operator === null) throw new Error('the store did not open');
    const progress = (value: unknown) => operation.onProgress?.(value);
    return (await COMMANDS[operation.command](operator, operation.args, progress)) as T;
  } finally {
    await engine.close(performance.now() + config.server.shutdownTimeoutMs);
  }
}
