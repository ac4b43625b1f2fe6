import { expect, it } from 'vitest';
import { renderMessage } from './message.js';
import { decodeNotification, type Notification } from './notification.js';

const alert = (over: Record<string, unknown> = {}) => ({
  status: 'firing',
  labels: { alertname: 'MemtraceDown', severity: 'critical', instance: 'a:9100' },
  annotations: {
    summary: 'it is away',
    summary_zh: '没有响应',
    runbook: 'docs/runbooks.md#memtracedown',
  },
  startsAt: '2026-11-21T08:00:00Z',
  endsAt: '0001-01-01T00:00:00Z',
  ...over,
});

function decoded(alerts: unknown[], more: Record<string, unknown> = {}): Notification {
  const body = { version: '4', status: 'firing', externalURL: '', alerts, ...more };
  const notification = decodeNotification(JSON.stringify(body));
  if (typeof notification === 'string') throw new Error(notification);
  return notification;
}

const style = { runbookBase: 'https://docs.example.com/', timeZone: 'Asia/Shanghai' };

it('says in Chinese what fires, since when, and where to read on', () => {
  const { title, markdown } = renderMessage(decoded([alert()]), { ...style, language: 'zh' });
  expect(title).toBe('告警 (1) MemtraceDown');
  expect(markdown).toContain('没有响应');
  expect(markdown).toContain('- 级别: 严重');
  expect(markdown).toContain('- 开始: 2026-11-21 16:00:00');
  expect(markdown).toContain('https://docs.example.com/docs/runbooks.zh-CN.md#memtracedown');
  expect(markdown).not.toContain('结束');
});

it('says in English what is over, and until when', () => {
  const over = alert({ status: 'resolved', endsAt: '2026-11-21T09:00:00Z' });
  const notification = decoded([over], { status: 'resolved' });
  const { title, markdown } = renderMessage(notification, { ...style, language: 'en' });
  expect(title).toContain('RESOLVED (1)');
  expect(markdown).toContain('it is away');
  expect(markdown).toContain('- Until: 2026-11-21 17:00:00');
});

it('shows what fires first, and counts what it leaves out', () => {
  const over = { status: 'resolved', endsAt: '2026-11-21T09:00:00Z' };
  const alerts = [...Array.from({ length: 11 }, () => alert(over)), alert()];
  const notification = decoded(alerts, { truncatedAlerts: 5 });
  const { title, markdown } = renderMessage(notification, { ...style, language: 'en' });
  expect(title).toContain('FIRING (17)');
  expect(markdown).toContain('7 more are not shown');
  expect(markdown.indexOf('FIRING Memtrace')).toBeLessThan(markdown.indexOf('RESOLVED Memtrace'));
});

it('lets no label or summary become structure', () => {
  const evil = alert({
    labels: { alertname: 'x\n# heading', instance: '![a](http://evil)' },
    annotations: { summary: `[click](http://evil) <b>\n\n## more ${'z'.repeat(1_000)}` },
  });
  const { markdown } = renderMessage(decoded([evil]), { ...style, language: 'en' });
  expect(markdown).not.toMatch(/^#{1,2} /m);
  expect(markdown).not.toContain('](http://evil)');
  expect(markdown).not.toContain('<b>');
  expect(markdown.length).toBeLessThan(900);
});

it.each([
  ['{', 'the body is no JSON'],
  ['[]', 'the body is no object'],
  ['{"status":"on","alerts":[{}]}', 'status must be'],
  ['{"status":"firing","alerts":[]}', 'alerts must be'],
  ['{"status":"firing","alerts":[{"status":"firing","startsAt":"soon"}]}', 'alerts[0]'],
])('refuses %s', (body, reason) => {
  expect(decodeNotification(body)).toContain(reason);
});
