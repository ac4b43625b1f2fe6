import type { ControlSocket } from '../../internal/api/control.js';
import type { Listening } from '../../internal/api/server.js';
import { Engine } from '../../internal/engine/engine.js';
import { VERSION } from '../../internal/engine/version.js';
import { createLogger, type Logger } from '../../internal/telemetry/log.js';
import { Metrics } from '../../internal/telemetry/metrics.js';
import { EXIT, failWith } from './output.js';
import { configFrom } from './store.js';

/** How long answers that say 503 get to leave after the log failed. */
const LAST_WORDS_MS = 250;

/**
 * Opens in order, serves, closes in reverse. The port answers before the log is read back, so that
 * probes see a server that starts and not one that is gone.
 */
export async function serveUntilSignal(flags: Record<string, string>): Promise<void> {
  const config = configFrom(flags);
  const log = createLogger({ level: config.log.level, format: config.log.format });
  const engine = new Engine({
    config,
    log,
    metrics: new Metrics(VERSION),
    showKey: process.stderr.isTTY ? showKey : undefined,
    onFatal: (error) => dieOf(error, log),
  });
  process.on('uncaughtException', (error) => dieOf(error, log));
  // Refused before the port is taken: who holds the directory is the better answer.
  const dir = await engine.prepare();
  try {
    await run(engine, dir.controlSocket);
  } catch (error) {
    // Threads and perhaps the port are open already: only an exit ends the process.
    failWith(error);
    log.error({ err: error }, 'the server cannot start');
    process.exit(EXIT.failed);
  }
}

/** Resolves once the server serves; from then on signals decide. */
async function run(engine: Engine, controlSocket: string): Promise<void> {
  const { config, log } = engine;
  // Its threads start while the routes are loaded here.
  const opening = engine.open();
  opening.catch(() => undefined);
  const { createListener, listen, listenControl } = await routes();
  const listening = await listen(createListener(engine), config.server);
  log.info({ host: config.server.host, port: listening.port }, 'listening');
  const control = await listenControl(controlSocket, () => engine.operator);
  const stop = once(() => shutDown(engine, listening, control));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      // A second signal: at once. What was acknowledged is in the log.
      if (engine.draining) process.exit(EXIT.failed);
      log.info({ signal }, 'stopping');
      stop().then(
        () => process.exit(EXIT.ok),
        (error: unknown) => dieOf(error, log),
      );
    });
  }
  await opening;
}

/** Loaded apart, so that the engine need not wait for them. */
async function routes() {
  const [app, server, control] = await Promise.all([
    import('../../internal/api/app.js'),
    import('../../internal/api/server.js'),
    import('../../internal/api/control.js'),
  ]);
  return { ...app, ...server, ...control };
}

async function shutDown(
  engine: Engine,
  listening: Listening,
  control: ControlSocket,
): Promise<void> {
  engine.draining = true;
  const deadlineMs = performance.now() + engine.config.server.shutdownTimeoutMs;
  const cut = setTimeout(() => listening.abort(), engine.config.server.shutdownTimeoutMs / 2);
  await listening.close();
  clearTimeout(cut);
  await control.close();
  await engine.close(deadlineMs);
  engine.log.info({}, 'stopped');
}

/** The process cannot go on: says so and exits non-zero; a restart reads the log back. */
function dieOf(error: unknown, log: Logger): void {
  log.error({ err: error }, 'the server cannot go on');
  setTimeout(() => process.exit(EXIT.failed), LAST_WORDS_MS);
}

function showKey(secret: string, path: string): void {
  process.stderr.write(
    `\n  The admin key of the organization "default", shown this once:\n\n    ${secret}\n\n` +
      `  It is also in ${path}\n\n`,
  );
}

function once<T>(run: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null;
  return () => {
    running ??= run();
    return running;
  };
}
