#!/usr/bin/env node
import type { AddressInfo } from 'node:net';
import { processEnv } from '../../internal/config/env.js';
import { createLogger } from '../../internal/telemetry/log.js';
import { dingtalkBody, sendToDingtalk } from './dingtalk.js';
import { createBridge } from './server.js';
import { type Settings, settingsFrom } from './settings.js';

/** Takes Alertmanager's webhooks and passes them on to a DingTalk robot, in its own format. */
function serve({ host, port, robot, runbookBase, timeZone }: Settings): void {
  const log = createLogger({ level: 'info', format: 'json' });
  const server = createBridge({
    style: { runbookBase, timeZone },
    send: (message, { status }) => {
      const mobiles = status === 'firing' ? robot.mobiles : [];
      return sendToDingtalk(robot, dingtalkBody(message, mobiles), Date.now());
    },
    log: (entry, text) => log.info(entry, text),
  });
  server.listen(port, host, () => {
    log.info({ host, port: (server.address() as AddressInfo).port }, 'listening');
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      server.close(() => process.exit(0));
      server.closeIdleConnections();
    });
  }
}

try {
  serve(settingsFrom(processEnv()));
} catch (error) {
  process.stderr.write(`alert-bridge: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
