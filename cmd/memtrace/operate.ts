import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
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
  if (online !== null) return online.result;
  const link = await openHere(config);
  try {
    return await link.call<T>(operation);
  } finally {
    await link.close();
  }
}

/** For a command that is made of many calls. */
export interface Link {
  call<T>(operation: Operation): Promise<T>;
  close(): Promise<void>;
}

/** As `operate`, for several calls to one and the same server or opened directory. */
export async function linkTo(config: Config): Promise<Link> {
  const path = join(config.storage.dataDir, 'control.sock');
  if (!(await listens(path))) return openHere(config);
  return {
    call: async <T>(operation: Operation) => {
      const online = await callServer<T>(path, operation);
      if (online === null) throw new Error('the server has stopped');
      return online.result;
    },
    close: async () => undefined,
  };
}

function listens(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(false);
      else reject(error);
    });
  });
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
      resultOf<T>(response, operation).then((result) => resolve({ result }), reject);
    });
    call.setHeader('content-type', 'application/json');
    call.end(JSON.stringify(operation.args));
  });
}

async function resultOf<T>(response: IncomingMessage, operation: Operation): Promise<T> {
  for await (const line of answersOf(response)) {
    const answer = JSON.parse(line) as Answer;
    if (answer.error !== undefined) throw new Error(answer.error);
    if (answer.progress === undefined) return answer.result as T;
    operation.onProgress?.(answer.progress);
  }
  throw new Error('the server ended before it answered');
}

/** Lines end with a line feed only: to node:readline U+2028 is an end too, which texts may hold. */
async function* answersOf(response: IncomingMessage): AsyncIterable<string> {
  let pieces: string[] = [];
  response.setEncoding('utf8');
  for await (const chunk of response as AsyncIterable<string>) {
    const [first, ...more] = chunk.split('\n');
    pieces.push(first);
    for (const piece of more) {
      yield pieces.join('');
      pieces = [piece];
    }
  }
}

/** Opens the data directory, with its lock taken, until the link is closed. */
async function openHere(config: Config): Promise<Link> {
  // Loaded only here: neither a start nor a command to a running server need wait for these.
  const { COMMANDS } = await import('../../internal/api/control.js');
  const { Engine } = await import('../../internal/engine/engine.js');
  const { Metrics } = await import('../../internal/telemetry/metrics.js');
  const { VERSION } = await import('../../internal/engine/version.js');
  const engine = new Engine({
    // A command is no life of a server: it sends nothing to the backup target of one.
    config: { ...config, backup: { ...config.backup, target: '' } },
    log: silentLogger,
    metrics: new Metrics(VERSION),
    onFatal: (error) => {
      throw error;
    },
  });
  await engine.prepare();
  const close = () => engine.close(performance.now() + config.server.shutdownTimeoutMs);
  try {
    await engine.open();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    call: async <T>({ command, args, onProgress }: Operation) => {
      const { operator } = engine;
      if (operator === null) throw new Error('the store did not open');
      const progress = (value: unknown) => onProgress?.(value);
      return (await COMMANDS[command](operator, args, progress)) as T;
    },
    close,
  };
}
