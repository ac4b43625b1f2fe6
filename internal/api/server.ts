import { createServer, type RequestListener, type Server } from 'node:http';
import type { Config } from '../config/table.js';

const SILENCE_MS = 60_000;

/** The app on a port. */
export interface Listening {
  /** The port that was taken; another than asked for only where that was 0. */
  port: number;
  /** No new connection; requests under way are answered, idle connections are closed. */
  close(): Promise<void>;
  /** Cuts what is still open. */
  abort(): void;
}

/** Rejects with a sentence that says what to do. */
export async function listen(
  answer: RequestListener,
  config: Config['server'],
): Promise<Listening> {
  const server = createServer(
    {
      headersTimeout: config.headersTimeoutMs,
      keepAliveTimeout: config.keepAliveTimeoutMs,
      // A stream of lines may take hours: bodies have timeouts of their own (body.ts).
      requestTimeout: 0,
      // Looked at every so often: a slow sender of headers is cut off soon after its time.
      connectionsCheckingInterval: 5_000,
    },
    answer,
  );
  // A connection on which nothing moves, in the middle of a request too; queries end before that.
  server.timeout = config.requestTimeoutMs + SILENCE_MS;
  server.maxConnections = config.maxConnections;
  await bound(server, config);
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : config.port;
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
    abort: () => server.closeAllConnections(),
  };
}

function bound(server: Server, { host, port }: Config['server']): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(new Error(whyNot(error, host, port), { cause: error }));
    });
    // The backlog of a burst of clients that all connect at once.
    server.listen({ host, port, backlog: 4_096 }, () => resolve());
  });
}

function whyNot(error: NodeJS.ErrnoException, host: string, port: number): string {
  const where = `cannot listen on ${host}:${port} (${error.code})`;
  if (error.code === 'EADDRINUSE') {
    return `${where}: another process does; stop it or choose another port with --port`;
  }
  if (error.code === 'EACCES') return `${where}: ports below 1024 need privileges`;
  if (error.code === 'EADDRNOTAVAIL') return `${where}: this machine has no such address`;
  return `${where}: ${error.message}`;
}
