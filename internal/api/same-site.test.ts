import { expect, test } from 'vitest';
import { loadConfig } from '../config/load.js';
import { Fault } from '../fault/fault.js';
import { refuseCrossSite } from './same-site.js';

interface Sent {
  host?: string;
  origin?: string;
}

interface Setup {
  listens?: string;
  corsOrigins?: string[];
  /** Without keys there is nothing else between a page and the memories. */
  keys?: boolean;
}

/** 'in', or the header that is to blame. */
function verdict(sent: Sent, { listens = '127.0.0.1', corsOrigins = [], keys = true }: Setup) {
  const { config } = loadConfig({ env: {}, cwd: '/' });
  const server = { ...config.server, host: listens, corsOrigins };
  const auth = { ...config.auth, enabled: keys };
  try {
    refuseCrossSite({ header: (name) => sent[name as keyof Sent] }, { server, auth });
    return 'in';
  } catch (error) {
    return error instanceof Fault ? error.details.field : error;
  }
}

test.each<[string, Sent, string]>([
  ['127.0.0.1', { host: 'localhost:9100' }, 'in'],
  ['127.0.0.1', { host: '127.0.0.1:9100', origin: 'http://localhost:6274' }, 'in'],
  ['::1', { host: '[::1]:9100', origin: 'http://[::1]:3000' }, 'in'],
  ['localhost', { host: 'app.localhost', origin: 'https://app.localhost' }, 'in'],
  ['127.0.0.1', { host: 'localhost', origin: 'https://evil.example' }, 'Origin'],
  ['127.0.0.1', { host: 'localhost', origin: 'null' }, 'Origin'],
  ['127.0.0.1', { host: 'localhost', origin: 'http://localhost.evil.example' }, 'Origin'],
  ['0.0.0.0', { host: 'memtrace.example' }, 'in'],
  ['0.0.0.0', { host: 'localhost:9100', origin: 'http://localhost:6274' }, 'in'],
  ['0.0.0.0', { host: 'memtrace.example', origin: 'http://localhost:6274' }, 'Origin'],
  ['0.0.0.0', { host: 'evil.example', origin: 'http://evil.example' }, 'Origin'],
])('listening on %s, %o: %s', (listens, sent, expected) => {
  expect(verdict(sent, { listens })).toBe(expected);
  expect(verdict(sent, { listens, keys: false })).toBe(expected);
});

test.each<[Sent, string, string]>([
  [{ host: 'memtrace.example' }, 'in', 'Host'],
  [{ host: 'evil.example:9100', origin: 'http://evil.example:9100' }, 'Origin', 'Host'],
  [{ host: 'evil.example:9100', origin: 'http://localhost' }, 'Origin', 'Host'],
  [{ host: 'localhost.evil.example' }, 'in', 'Host'],
  [{ host: '127.0.0.1.evil.example' }, 'in', 'Host'],
  [{}, 'in', 'Host'],
])('on loopback under a foreign name, %o: %s; without keys: %s', (sent, keyed, keyless) => {
  expect(verdict(sent, {})).toBe(keyed);
  expect(verdict(sent, { keys: false })).toBe(keyless);
});

test('configured origins are let in, and without keys under their name too', () => {
  const origin = 'https://app.example';
  const corsOrigins = [origin];
  for (const keys of [true, false]) {
    expect(verdict({ host: 'localhost', origin }, { corsOrigins, keys })).toBe('in');
    expect(verdict({ host: 'app.example', origin }, { corsOrigins, keys })).toBe('in');
    const other = { host: 'localhost', origin: 'http://app.example' };
    expect(verdict(other, { corsOrigins, keys })).toBe('Origin');
    expect(verdict({ host: 'x', origin: 'https://y' }, { corsOrigins: ['*'], keys })).toBe('in');
  }
  expect(verdict({ host: 'api.example', origin }, { corsOrigins })).toBe('in');
});
