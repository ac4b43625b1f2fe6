import { expect, test } from 'vitest';
import { stdioSettings } from './settings.js';

test('flags go before the environment, and that before the default', () => {
  const env = { MEMTRACE_URL: 'https://there:1/', MEMTRACE_API_KEY: 'mtk_env' };
  expect(stdioSettings({}, env)).toEqual({ url: 'https://there:1', key: 'mtk_env' });
  expect(stdioSettings({ url: 'http://x', key: 'k' }, env)).toEqual({ url: 'http://x', key: 'k' });
  expect(stdioSettings({ key: 'k' }, { MEMTRACE_URL: '' }).url).toBe('http://localhost:9100');
});

test('what is missing or no URL is said', () => {
  expect(() => stdioSettings({}, {})).toThrow('MEMTRACE_API_KEY is required');
  expect(() => stdioSettings({ key: 'k', url: 'localhost:9100' }, {})).toThrow('MEMTRACE_URL');
});
