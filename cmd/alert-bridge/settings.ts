import type { Env } from '../../internal/config/env.js';
import type { Robot } from './dingtalk.js';

export interface Settings {
  host: string;
  port: number;
  robot: Robot;
  runbookBase: string;
  timeZone: string;
}

/** From the environment; throws a sentence that names the variable. Secrets are never in it. */
export function settingsFrom(env: Env): Settings {
  const webhook = env['DINGTALK_WEBHOOK'] ?? '';
  if (!/^https?:\/\/\S+$/.test(webhook)) {
    throw new Error('DINGTALK_WEBHOOK must be the URL of the robot, access_token included');
  }
  const port = Number(env['ALERT_BRIDGE_PORT'] || 9095);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new Error('ALERT_BRIDGE_PORT must be a whole number from 0 to 65535');
  }
  return {
    host: env['ALERT_BRIDGE_HOST'] || '127.0.0.1',
    port,
    robot: {
      webhook,
      secret: env['DINGTALK_SECRET'] ?? '',
      mobiles: (env['DINGTALK_MOBILES'] ?? '').split(',').flatMap((one) => one.trim() || []),
    },
    runbookBase: env['ALERT_BRIDGE_RUNBOOKS'] ?? '',
    timeZone: timeZoneOf(env['ALERT_BRIDGE_TIMEZONE'] || 'UTC'),
  };
}

function timeZoneOf(name: string): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    throw new Error(`ALERT_BRIDGE_TIMEZONE: there is no time zone "${name}"`);
  }
}
