import { expect, test } from 'vitest';
import { refuseCrossSite } from './same-site.js';

function verdict(
  listens: string,
  sent: { host?: string; origin?: string },
  corsOrigins: string[] = [],
): string {
  const header = (name: string) => sent[name as 'host' | 'origin'];
  try {
    refuseCrossSite({ header }, { host: listens, corsOrigins });
    return 'in';
  } catch (error) {
    return String((error as { details: { field: string } }).details.field);
  }
}

test.each([
  ['127.0.0.1', { host: 'localhost:9100' }, 'in'],
  ['127.0.0.1', { host: '127.0.0.1:9100', origin: 'http://localhost:6274' }, 'in'],
  ['::1', { host: '[::1]:9100', origin: 'http://[::1]:3000' }, 'in'],
  ['localhost', { host: 'app.localhost', origin: 'https://app.localhost' }, 'in'],
  ['127.0.0.1', { host: 'evil.example:9100' }, 'Host'],
  ['127.0.0.1', { host: 'evil.example:9100', origin: 'http://evil.example:9100' }, 'Host'],
  ['127.0.0.1', { host: 'localhost.evil.example' }, 'Host'],
  ['127.0.0.1', { host: '127.0.0.1.evil.example' }, 'Host'],
  ['127.0.0.1', {}, 'Host'],
  ['127.0.0.1', { host: 'localhost', origin: 'https://evil.example' }, 'Origin'],
  ['127.0.0.1', { host: 'localhost', origin: 'null' }, 'Origin'],
  ['127.0.0.1', { host: 'localhost', origin: 'http://localhost.evil.example' }, 'Origin'],
  ['0.0.0.0', { host: 'memtrace.example' }, 'in'],
  ['0.0.0.0', { host: 'localhost:9100', origin: 'http://localhost:6274' }, 'in'],
  ['0.0.0.0', { host: 'memtrace.example', origin: 'http://localhost:6274' }, 'Origin'],
  ['0.0.0.0', { host: 'evil.example', origin: 'http://evil.example' }, 'Origin'],
])('listening on %s, %o: %s', (listens, sent, expected) => {
  expect(verdict(listens, sent)).toBe(expected);
});

test('configured origins are let in, and behind a proxy under their name', () => {
  const origins = ['https://app.example'];
  const origin = 'https://app.example';
  expect(verdict('127.0.0.1', { host: 'localhost', origin }, origins)).toBe('in');
  expect(verdict('127.0.0.1', { host: 'app.example', origin }, origins)).toBe('in');
  expect(verdict('0.0.0.0', { host: 'x', origin: 'http://app.example' }, origins)).toBe('Origin');
  expect(verdict('127.0.0.1', { host: 'x', origin: 'https://y' }, ['*'])).toBe('in');
});
