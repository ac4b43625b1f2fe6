import { Command } from 'commander';
import { expect, test } from 'vitest';
import { addConfigFlags, configFlags, registerConfig } from './config.js';

interface Run {
  out: string;
  err: string;
  code: number;
}

function run(args: readonly string[], env: Record<string, string> = {}): Run {
  const result: Run = { out: '', err: '', code: 0 };
  const program = new Command('memtrace').exitOverride();
  registerConfig(program, {
    env,
    cwd: '/nonexistent',
    out: (text) => {
      result.out += text;
    },
    err: (text) => {
      result.err += text;
    },
    exitCode: (code) => {
      result.code = code;
    },
  });
  program.parse(['config', 'check', ...args], { from: 'user' });
  return result;
}

test('the effective values with their sources', () => {
  const { out, err, code } = run(['--port', '9200'], { MEMTRACE_LOG_LEVEL: 'debug' });
  expect(code).toBe(0);
  expect(err).toBe('');
  expect(out).toContain('Configuration file: none\n');
  expect(out).toMatch(/^server\.port +9200 +flag --port$/m);
  expect(out).toMatch(/^log\.level +"debug" +environment variable MEMTRACE_LOG_LEVEL$/m);
  expect(out).toMatch(/^server\.shutdown_timeout +"30s" +default$/m);
});

test('reserved options are accepted, with a note; warnings go beside the answer', () => {
  const { out, err, code } = run([], { MEMTRACE_CACHE_URL: 'redis://c', MEMTRACE_XYZZY: '1' });
  expect(code).toBe(0);
  expect(out).toContain('redis://c');
  expect(err).toContain('note: serve would not start: cache.url = redis://c');
  expect(err).toContain('warning: environment variable MEMTRACE_XYZZY');
});

test('everything that is wrong, exit code 1', () => {
  const { out, err, code } = run(['--port', 'x'], { MEMTRACE_WAL_ACK: 'maybe' });
  expect(code).toBe(1);
  expect(out).toBe('');
  expect(err).toContain('server.port = x (flag --port)');
  expect(err).toContain('wal.ack = maybe (environment variable MEMTRACE_WAL_ACK)');
});

test('--json for scripts', () => {
  const good = JSON.parse(run(['--json'], { MEMTRACE_ARC_API_KEY: 'secret' }).out);
  expect(good).toMatchObject({ ok: true, file: null, warnings: [], unsupported: [] });
  expect(good.options).toContainEqual({
    option: 'arc.api_key',
    value: '***',
    source: 'env',
    from: 'environment variable MEMTRACE_ARC_API_KEY',
  });
  const bad = run(['--json', '--port', 'x']);
  expect(bad.code).toBe(1);
  expect(JSON.parse(bad.out)).toEqual({
    ok: false,
    problems: [
      {
        key: 'server.port',
        value: 'x',
        message: 'must be a whole number from 0 to 65535',
        from: 'flag --port',
      },
    ],
  });
});

test('a wrong flag is a usage error of commander', () => {
  const program = new Command('memtrace').exitOverride();
  program.configureOutput({ writeErr: () => undefined });
  registerConfig(program);
  expect(() => program.parse(['config', 'check', '--nope'], { from: 'user' })).toThrow('--nope');
});

test('the flags of any command that wants them', () => {
  const command = addConfigFlags(new Command('serve'));
  command.parse(['--data-dir', '/d', '--log-format', 'text', '--config', 'c.toml'], {
    from: 'user',
  });
  expect(configFlags(command)).toEqual({
    config: 'c.toml',
    'data-dir': '/d',
    'log-format': 'text',
  });
  expect(command.helpInformation()).toContain('--port <value>');
});
