import { execFileSync } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { dingtalkBody, sendToDingtalk, signedUrl } from './dingtalk.js';
import { settingsFrom } from './settings.js';

const webhook = 'https://oapi.dingtalk.com/robot/send?access_token=abc';
const message = { title: 'title', markdown: 'text' };
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

it('signs as openssl does', () => {
  const secret = 'SEC1';
  const url = new URL(signedUrl({ webhook, secret, mobiles: [] }, 1_700_000_000_000));
  const args = ['dgst', '-sha256', '-hmac', secret, '-binary'];
  const mac = execFileSync('openssl', args, { input: `1700000000000\n${secret}` });
  expect(url.searchParams.get('sign')).toBe(mac.toString('base64'));
  expect(url.searchParams.get('timestamp')).toBe('1700000000000');
  expect(url.searchParams.get('access_token')).toBe('abc');
});

it('leaves the webhook of a robot without a secret as it is', () => {
  expect(signedUrl({ webhook, secret: '', mobiles: [] }, 1)).toBe(webhook);
});

it('mentions phones in the text too, as DingTalk wants', () => {
  expect(dingtalkBody(message, ['138'])).toEqual({
    msgtype: 'markdown',
    markdown: { title: 'title', text: 'text\n\n@138' },
    at: { atMobiles: ['138'], isAtAll: false },
  });
});

async function robotThat(status: number, body: string): Promise<string> {
  const server = createServer((_, response) => response.writeHead(status).end(body));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  servers.push(server);
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/?access_token=hidden`;
}

it.each([
  [200, '{"errcode":310000,"errmsg":"sign not match"}', /310000 sign not match/],
  [200, '<html>', /no JSON/],
  [500, '', /answered 500/],
])('rejects an answer of %s %s', async (status, body, reason) => {
  const robot = { webhook: await robotThat(status, body), secret: '', mobiles: [] };
  await expect(sendToDingtalk(robot, {}, 0)).rejects.toThrow(reason);
});

it('never tells the token of a robot that cannot be reached', async () => {
  const closed = await robotThat(200, '');
  await new Promise((resolve) => servers.pop()?.close(resolve));
  const robot = { webhook: closed, secret: '', mobiles: [] };
  const error = await sendToDingtalk(robot, {}, 0).catch((e: Error) => e);
  expect(String(error)).toContain('ECONNREFUSED');
  expect(String(error)).not.toContain('hidden');
});

it('names the variable that is wrong', () => {
  expect(() => settingsFrom({})).toThrow('DINGTALK_WEBHOOK');
  expect(() => settingsFrom({ DINGTALK_WEBHOOK: webhook, ALERT_BRIDGE_PORT: 'x' })).toThrow('PORT');
  const zone = { DINGTALK_WEBHOOK: webhook, ALERT_BRIDGE_TIMEZONE: 'Mars' };
  expect(() => settingsFrom(zone)).toThrow('Mars');
  expect(settingsFrom({ DINGTALK_WEBHOOK: webhook, DINGTALK_MOBILES: '1, 2,' })).toEqual({
    host: '127.0.0.1',
    port: 9095,
    robot: { webhook, secret: '', mobiles: ['1', '2'] },
    runbookBase: '',
    timeZone: 'UTC',
  });
});
