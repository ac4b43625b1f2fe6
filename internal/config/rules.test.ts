import { expect, test } from 'vitest';
import { loadConfig } from './load.js';
import { unsupported } from './rules.js';

function refusals(env: Record<string, string>): string[] {
  return unsupported(loadConfig({ env, cwd: '/', readFile: () => null }).config);
}

test('reserved options load, and each that cannot be honoured is named with a sentence', () => {
  expect(
    refusals({
      MEMTRACE_METADATA_URL: 'postgres://user:secret@db/memtrace',
      MEMTRACE_STORAGE_ENGINE: 'arc',
      MEMTRACE_STORAGE_OBJECTS: 's3://bucket/prefix',
      MEMTRACE_CACHE_URL: 'redis://cache:6379',
      MEMTRACE_ARC_URL: 'http://arc-service:8000',
    }),
  ).toEqual([
    expect.stringMatching(/^storage\.engine = arc: .+\.$/),
    expect.stringMatching(/^storage\.objects = s3:\/\/bucket\/prefix: .+\.$/),
    expect.stringMatching(/^metadata\.url = postgres:\/\/user:\*\*\*@db\/memtrace: .+\.$/),
    expect.stringMatching(/^cache\.url = .+\.$/),
    expect.stringMatching(/^arc\.url = .+\.$/),
  ]);
});

test('the token of a remote store alone does not keep the server from starting', () => {
  expect(refusals({ MEMTRACE_ARC_API_KEY: 'x', MEMTRACE_ARC_CONNECT_TIMEOUT: '3' })).toEqual([]);
});
