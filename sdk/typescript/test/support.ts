import { startServer, type TestServer } from '../../../test/support/server.js';
import { type ClientOptions, Memtrace } from '../src/index.js';

export { freePort, startServer, type TestServer, tempDir } from '../../../test/support/server.js';

export function clientOf(server: TestServer, options: ClientOptions = {}): Memtrace {
  return new Memtrace({ baseUrl: server.url, apiKey: server.key, ...options });
}

/** A server for the tests of one file. */
export async function serverAndClient(): Promise<{ server: TestServer; client: Memtrace }> {
  const server = await startServer();
  return { server, client: clientOf(server) };
}
