import { chmodSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import { dayOf, US_PER_MS } from '../base/clock.js';
import type { Operator } from '../engine/operator.js';
import { Fault } from '../fault/fault.js';
import type { S3Settings } from '../objects/s3.js';
import type { ExportOrder, ImportOrder } from '../transfer/transfer.js';

/**
 * What the operator's commands reach on a running server: HTTP over a socket in the data directory
 * (mode 0600), so that whoever may use it is whoever owns the files. Answers are lines of JSON:
 * progress first, `{"result": …}` or `{"error": …}` last.
 */
export type Command = (
  operator: Operator,
  args: Record<string, unknown>,
  progress: (value: unknown) => void,
) => Promise<unknown>;

export const COMMANDS: Readonly<Record<string, Command>> = {
  flush: (operator) => operator.flush(),
  verify: (operator, { deep }, onProgress) => operator.verify({ deep: deep === true, onProgress }),
  compact: (operator, { day, dryRun }, onProgress) =>
    operator.compact({ day: dayOfText(day), dryRun: dryRun === true }, onProgress),
  'quarantine-list': (operator) => operator.quarantined(),
  'quarantine-drop': (operator, { keys }) =>
    operator.dropQuarantined(keys === null ? null : textsOf(keys)),
  'backup-create': (operator, args, onProgress) => {
    const { to, incremental, settings } = args;
    const kind = incremental === true ? 'incremental' : 'full';
    const who = settings === undefined ? {} : { settings: settings as S3Settings };
    return operator.backup({ to: String(to), kind, onProgress, ...who });
  },
  export: (operator, args) => operator.transfer.exportPage(args as unknown as ExportOrder),
  import: (operator, args) => operator.transfer.importBatch(args as unknown as ImportOrder),
  'org-delete': (operator, { org }) => operator.deleteOrg(String(org)),
};

/** The UTC day number of `2026-11-21`; undefined for none. */
function dayOfText(text: unknown): number | undefined {
  if (text === undefined || text === null) return undefined;
  const ms = /^\d{4}-\d\d-\d\d$/.test(String(text)) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(ms)) throw new Fault('invalid_field', `not a day like 2026-11-21: ${text}`);
  return dayOf(ms * US_PER_MS);
}

/** Anything but a list of texts is refused: it must never stand for all. */
function textsOf(value: unknown): string[] {
  if (Array.isArray(value) && value.length > 0) return value.map(String);
  throw new Fault('invalid_field', 'keys must be a list of keys, or null for all');
}

export interface ControlSocket {
  close(): Promise<void>;
}

/** Listens on `path`. A socket left by a killed server is replaced: the caller holds the lock. */
export async function listenControl(
  path: string,
  operatorOf: () => Operator | null,
): Promise<ControlSocket> {
  rmSync(path, { force: true });
  const app = new Hono();
  app.post('/:command', async (c) => {
    const args = (await c.req.json()) as Record<string, unknown>;
    return new Response(answerLines(operatorOf(), c.req.param('command'), args));
  });
  const server = createServer({ requestTimeout: 0 }, getRequestListener(app.fetch));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answerLines(
  operator: Operator | null,
  name: string,
  args: Record<string, unknown>,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    async start(controller) {
      const say = (value: unknown) => {
        controller.enqueue(encoder.encode(`${JSON.stringify(value)}\n`));
      };
      try {
        say({ result: (await run(operator, name, args, say)) ?? null });
      } catch (error) {
        // The operator owns the machine: nothing need be hidden from them.
        say({ error: error instanceof Error ? error.message : String(error) });
      }
      controller.close();
    },
  });
}

function run(
  operator: Operator | null,
  name: string,
  args: Record<string, unknown>,
  say: (value: unknown) => void,
): Promise<unknown> {
  const command = COMMANDS[name];
  if (command === undefined) throw new Fault('not_found', `there is no command "${name}"`);
  if (operator === null) throw new Fault('not_ready', 'the server is still starting');
  return command(operator, args, (progress) => say({ progress }));
}
