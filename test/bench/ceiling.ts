import { fdatasync, mkdtempSync, openSync, rmSync, write } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';

/**
 * The most that this runtime, this HTTP layer and this disk allow: JSON parsed, appended to one
 * file, one fdatasync for all requests that wait. Nothing is validated, indexed or readable.
 * The bench divides the server's figures by this one's, so that they mean the same on any machine.
 */
class Appender {
  private readonly fd: number;
  private waiting: { line: string; done: () => void; failed: (error: unknown) => void }[] = [];
  private busy = false;

  constructor(fd: number) {
    this.fd = fd;
  }

  append(line: string): Promise<void> {
    return new Promise((done, failed) => {
      this.waiting.push({ line, done, failed });
      if (!this.busy) void this.drain();
    });
  }

  private async drain(): Promise<void> {
    this.busy = true;
    while (this.waiting.length > 0) {
      const group = this.waiting;
      this.waiting = [];
      try {
        await this.commit(Buffer.from(group.map((one) => one.line).join('')));
        for (const one of group) one.done();
      } catch (error) {
        for (const one of group) one.failed(error);
      }
    }
    this.busy = false;
  }

  private async commit(bytes: Buffer): Promise<void> {
    let at = 0;
    while (at < bytes.length) at += (await writeAt(this.fd, bytes, at)).bytesWritten;
    await sync(this.fd);
  }
}

const writeAt = promisify(write);
const sync = promisify(fdatasync);

const dir = mkdtempSync(join(tmpdir(), 'memtrace-ceiling-'));
const appender = new Appender(openSync(join(dir, 'log'), 'a'));
const app = new Hono();
let count = 0;

app.get('/ready', (c) => c.json({ status: 'ready' }));
app.post('/api/v1/memories', async (c) => {
  const body = await c.req.json<Record<string, unknown> & { memories?: unknown[] }>();
  const events = body.memories ?? [body];
  count += events.length;
  await appender.append(events.map((event) => `${JSON.stringify(event)}\n`).join(''));
  return c.json({ id: `mem_${count}`, count: events.length }, 201);
});

process.once('SIGTERM', () => {
  rmSync(dir, { recursive: true, force: true });
  process.exit(0);
});
serve({ fetch: app.fetch, port: Number(process.argv[2]), hostname: '127.0.0.1' });
