import { Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * Starts the worker thread whose compiled module stands beside the caller.
 *
 * Tests run the TypeScript sources, but a thread starts as plain Node and cannot: from a `.ts`
 * caller the compiled twin below dist/ is taken (the test command builds first).
 *
 * @param callerUrl the caller's import.meta.url
 * @param name the module beside it, without its ending, e.g. `./wal.worker`
 */
export function spawnWorker(callerUrl: string, name: string, options: WorkerOptions = {}): Worker {
  return new Worker(compiledUrl(callerUrl, name), options);
}

function compiledUrl(callerUrl: string, name: string): URL {
  if (callerUrl.endsWith('.js')) return new URL(`${name}.js`, callerUrl);
  const source = new URL(name, callerUrl).href;
  const at = source.lastIndexOf('/internal/');
  return new URL(`${source.slice(0, at)}/dist${source.slice(at)}.js`);
}
