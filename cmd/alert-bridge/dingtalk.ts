import { createHmac } from 'node:crypto';
import type { Message } from './message.js';

export interface Robot {
  /** `https://oapi.dingtalk.com/robot/send?access_token=…` */
  webhook: string;
  /** The secret of the robot's security setting "sign" (`SEC…`); '' for a robot without. */
  secret: string;
  /** Phone numbers to mention when something fires. */
  mobiles: readonly string[];
}

const TIMEOUT_MS = 5_000;

/**
 * The webhook with the time and its signature, which DingTalk takes for an hour:
 * base64(HMAC-SHA256(secret, `${ms}\n${secret}`)), as
 * https://open.dingtalk.com/document/robots/customize-robot-security-settings says.
 */
export function signedUrl({ webhook, secret }: Robot, nowMs: number): string {
  if (secret === '') return webhook;
  const sign = createHmac('sha256', secret).update(`${nowMs}\n${secret}`).digest('base64');
  const url = new URL(webhook);
  url.searchParams.set('timestamp', String(nowMs));
  url.searchParams.set('sign', sign);
  return url.href;
}

/** DingTalk's message of type markdown; who is mentioned must also stand in the text. */
export function dingtalkBody(message: Message, mobiles: readonly string[]): unknown {
  const mention = mobiles.map((mobile) => `@${mobile}`).join(' ');
  const text = mention === '' ? message.markdown : `${message.markdown}\n\n${mention}`;
  return {
    msgtype: 'markdown',
    markdown: { title: message.title, text },
    at: { atMobiles: mobiles, isAtAll: false },
  };
}

/**
 * Sends one message. Rejects with a sentence that never holds the webhook, whose token is a secret.
 * DingTalk answers refusals with HTTP 200 and an `errcode`.
 */
export async function sendToDingtalk(robot: Robot, body: unknown, nowMs: number): Promise<void> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(signedUrl(robot, nowMs), {
      method: 'POST',
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    text = await response.text();
  } catch (error) {
    throw new Error(`DingTalk cannot be reached: ${reason(error)}`);
  }
  if (!response.ok) throw new Error(`DingTalk answered ${response.status}`);
  const { errcode, errmsg } = parse(text);
  if (errcode !== 0) throw new Error(`DingTalk refused the message: ${errcode} ${errmsg}`);
}

function parse(text: string): { errcode: unknown; errmsg: unknown } {
  try {
    const { errcode, errmsg } = JSON.parse(text) as Record<string, unknown>;
    return { errcode, errmsg };
  } catch {
    return { errcode: 'no JSON in the answer', errmsg: '' };
  }
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const cause = error.cause as { code?: unknown } | undefined;
  return typeof cause?.code === 'string' ? cause.code : error.name;
}
