import { createReadStream } from 'node:fs';
import { Agent, type RequestOptions, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Reply {
  status: number;
  text: string;
  /** From the first byte sent to the last received. */
  ms: number;
}

/** A client on keep-alive connections, thin enough to measure latencies with. */
export class BenchClient {
  private readonly agent: Agent;
  private readonly url: URL;
  private readonly key: string;

  constructor(server: { url: string; key: string }, connections = 1) {
    this.url = new URL(server.url);
    this.key = server.key;
    this.agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  get(path: string): Promise<Reply> {
    return this.send('GET', path);
  }

  post(path: string, body: unknown): Promise<Reply> {
    return this.send('POST', path, JSON.stringify(body));
  }

  /** Streams a file of events to its acknowledgement. */
  stream(path: string): Promise<Reply> {
    return this.exchange({ ...this.options('POST', '/api/v1/memories'), agent: false }, (out) => {
      out.setHeader('content-type', 'application/x-ndjson');
      createReadStream(path, { highWaterMark: 256 * 1024 }).pipe(out);
    });
  }

  /** Sends objects as lines, in one body. */
  lines(path: string, items: readonly object[]): Promise<Reply> {
    return this.exchange(this.options('POST', path), (out) => {
      out.setHeader('content-type', 'application/x-ndjson');
      out.end(items.map((item) => `${JSON.stringify(item)}\n`).join(''));
    });
  }

  close(): void {
    this.agent.destroy();
  }

  private send(method: string, path: string, body?: string): Promise<Reply> {
    return this.exchange(this.options(method, path), (out) => {
      if (body !== undefined) out.setHeader('content-type', 'application/json');
      out.end(body);
    });
  }

  private options(method: string, path: string): RequestOptions {
    const { hostname, port } = this.url;
    return { method, path, hostname, port, agent: this.agent, headers: { 'x-api-key': this.key } };
  }

  private exchange(
    options: RequestOptions,
    write: (out: ReturnType<typeof request>) => void,
  ): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const startedAt = performance.now();
      const out = request(options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const ms = performance.now() - startedAt;
          resolve({ status: response.statusCode ?? 0, text, ms });
        });
      });
      out.once('error', reject);
      write(out);
    });
  }
}

/** Latencies of `count` requests, one after the other. Throws on another status than 2xx. */
export async function inTurn(
  count: number,
  next: (n: number) => Promise<Reply>,
): Promise<number[]> {
  const latencies: number[] = [];
  for (let n = 0; n < count; n += 1) latencies.push(checked(await next(n)).ms);
  return latencies;
}

/** Repeats until told to stop; resolves with the latencies. */
export async function whileTrue(
  going: () => boolean,
  next: (n: number) => Promise<Reply>,
  pauseMs = 0,
): Promise<number[]> {
  const latencies: number[] = [];
  for (let n = 0; going(); n += 1) {
    latencies.push(checked(await next(n)).ms);
    if (pauseMs > 0) await sleep(pauseMs);
  }
  return latencies;
}

/** Open loop: one request every 1/rate s whatever the answers do, for so many seconds. */
export async function paced(
  rate: number,
  seconds: number,
  next: (n: number) => Promise<Reply>,
): Promise<number[]> {
  const startedAt = performance.now();
  const pending: Promise<number>[] = [];
  for (let n = 0; n < rate * seconds; n += 1) {
    const due = startedAt + (n * 1_000) / rate;
    const wait = due - performance.now();
    if (wait > 0) await sleep(wait);
    pending.push(next(n).then((reply) => checked(reply).ms));
  }
  return Promise.all(pending);
}

export function checked(reply: Reply): Reply {
  if (reply.status >= 200 && reply.status < 300) return reply;
  throw new Error(`status ${reply.status}: ${reply.text.slice(0, 300)}`);
}
