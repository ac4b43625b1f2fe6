import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { LANGUAGES, type Language, type Message, renderMessage, type Style } from './message.js';
import { decodeNotification, type Notification } from './notification.js';

export interface Bridge {
  style: Omit<Style, 'language'>;
  /** Rejects if the message did not arrive. */
  send(message: Message, notification: Notification): Promise<void>;
  log(entry: Record<string, unknown>, text: string): void;
}

const MAX_BODY = 4 * 1024 * 1024;

/**
 * `POST /dingtalk/zh` and `/dingtalk/en` take Alertmanager's webhook; `GET /health`.
 * 200 once the message arrived; 400 for what no retry mends; 502 otherwise, upon which
 * Alertmanager tries again.
 */
export function createBridge(bridge: Bridge): Server {
  return createServer({ requestTimeout: 10_000 }, (request, response) => {
    handle(bridge, request).then(
      (answer) => reply(response, answer),
      (error: unknown) => {
        const text = error instanceof Error ? error.message : String(error);
        bridge.log({ error: text }, 'a notification did not arrive');
        reply(response, [502, text]);
      },
    );
  });
}

type Answer = readonly [status: number, text: string];

async function handle(bridge: Bridge, request: IncomingMessage): Promise<Answer> {
  if (request.method === 'GET' && request.url === '/health') return [200, 'ok'];
  const language = languageOf(request);
  if (language === null) return [404, 'POST /dingtalk/zh or /dingtalk/en'];
  const body = await readBody(request);
  if (body === null) return [413, `a body of more than ${MAX_BODY} bytes`];
  const notification = decodeNotification(body);
  if (typeof notification === 'string') {
    bridge.log({ error: notification }, 'a body that is no notification');
    return [400, notification];
  }
  const message = renderMessage(notification, { ...bridge.style, language });
  await bridge.send(message, notification);
  const { status, alerts } = notification;
  bridge.log({ status, alerts: alerts.length, language }, 'sent');
  return [200, 'sent'];
}

function languageOf({ method, url }: IncomingMessage): Language | null {
  if (method !== 'POST') return null;
  return LANGUAGES.find((language) => url === `/dingtalk/${language}`) ?? null;
}

async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function reply(response: ServerResponse, [status, text]: Answer): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(`${text}\n`);
}
