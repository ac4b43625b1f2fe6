import { describe, expect, test } from 'vitest';
import { type Loaded, type LoadInput, loadConfig } from './load.js';
import { fieldName } from './option.js';
import { OPTIONS } from './options.js';
import { ConfigError } from './problem.js';
import { renderToml } from './render.js';
import { valueAt } from './rules.js';

const MACHINE = { memoryBytes: 4 * 2 ** 30, cgroupBytes: null, cores: 8 };

interface Given extends Partial<LoadInput> {
  /** The text of ./config/memtrace.toml. */
  readonly file?: string;
  readonly files?: Record<string, string>;
}

function load({ file, files, ...input }: Given = {}): Loaded {
  const all = new Map(Object.entries(files ?? {}));
  if (file !== undefined) all.set('/cwd/config/memtrace.toml', file);
  const readFile = (path: string): string | null => all.get(path) ?? null;
  return loadConfig({ env: {}, cwd: '/cwd', readFile, machine: MACHINE, ...input });
}

/** The lines of the error that loading must end with. */
function problems(given: Given): string[] {
  try {
    load(given);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n  ').slice(1);
    throw error;
  }
  throw new Error('it loaded');
}

function setting({ sources }: Loaded, name: string) {
  return sources.find((source) => source.name === name);
}

describe('defaults', () => {
  test('the documented ones, in bytes and milliseconds', () => {
    const { config, file, warnings } = load();
    expect(file).toBeNull();
    expect(warnings).toEqual([]);
    expect(config.server).toEqual({
      host: '127.0.0.1',
      port: 9100,
      shutdownTimeoutMs: 30_000,
      maxConnections: 10_000,
      requestTimeoutMs: 60_000,
      headersTimeoutMs: 15_000,
      keepAliveTimeoutMs: 75_000,
      corsOrigins: [],
    });
    expect(config.log).toEqual({ level: 'info', format: 'json' });
    expect(config.storage).toEqual({ dataDir: './data', engine: 'parquet', objects: '' });
    expect(config.wal).toEqual({
      ack: 'fsync',
      segmentSizeBytes: 64 * 2 ** 20,
      maxPendingBytes: 64 * 2 ** 20,
    });
    expect(config.buffer).toEqual({ maxRows: 50_000, maxBytes: 64 * 2 ** 20, maxAgeMs: 300_000 });
    expect(config.dedup).toEqual({ enabled: true, windowHours: 24, contentBytes: 0 });
    expect(config.retention).toEqual({ days: 0, sweepIntervalMs: 3_600_000 });
  });

  test('what is left open follows from other options and the machine', () => {
    const file = '[limits]\nrequests_per_second = 50\n[query]\nthreads = 0';
    const { config } = load({ file, flags: { 'data-dir': '/var/lib/memtrace' } });
    expect(config.auth.dbPath).toBe('/var/lib/memtrace/memtrace.db');
    expect(config.limits.burst).toBe(100);
    expect(config.query.threads).toBe(8);
    expect(config.query.memoryLimitBytes).toBe(2 ** 30);
  });

  test('every row of the table has its field in Config', () => {
    const { config } = load();
    for (const { section, key, row } of OPTIONS) {
      const value = valueAt(config, section, fieldName(key, row.kind));
      const kinds = { int: 'number', bytes: 'number', duration: 'number', bool: 'boolean' };
      const expected = row.kind === 'list' ? 'object' : (kinds as Record<string, string>)[row.kind];
      expect(typeof value, `${section}.${key}`).toBe(expected ?? 'string');
    }
  });

  test('nobody can change it afterwards', () => {
    const { config } = load();
    expect(() => Object.assign(config.server, { port: 1 })).toThrow(TypeError);
    expect(() => Object.assign(config, { server: {} })).toThrow(TypeError);
    expect(() => Object.assign(config.server.corsOrigins, ['*'])).toThrow(TypeError);
  });
});

describe('precedence', () => {
  const file = '# mine\n[server]\nport = 1\nhost = "127.0.0.2"\n[log]\nlevel = "error"\n';
  const env = { MEMTRACE_SERVER_PORT: '2', MEMTRACE_SERVER_HOST: '127.0.0.3' };

  test('flag before environment before file before default', () => {
    const loaded = load({ file, env, flags: { port: '3' } });
    expect(loaded.config.server.port).toBe(3);
    expect(loaded.config.server.host).toBe('127.0.0.3');
    expect(loaded.config.log.level).toBe('error');
    expect(setting(loaded, 'server.port')).toEqual({
      name: 'server.port',
      value: 3,
      source: 'flag',
      from: 'flag --port',
    });
    expect(setting(loaded, 'server.host')?.from).toBe('environment variable MEMTRACE_SERVER_HOST');
    expect(setting(loaded, 'log.level')?.from).toBe('./config/memtrace.toml line 6');
    expect(setting(loaded, 'log.format')?.source).toBe('default');
    expect(setting(loaded, 'auth.db_path')?.source).toBe('derived');
  });

  test('a variable that is set to nothing is not set', () => {
    const loaded = load({ file, env: { MEMTRACE_SERVER_PORT: '', MEMTRACE_CONFIG: '' } });
    expect(loaded.config.server.port).toBe(1);
  });

  test('the first file that exists, or the one that is named', () => {
    const files = {
      '/cwd/config/memtrace.toml': '[server]\nport = 1',
      '/app/config/memtrace.toml': '[server]\nport = 2',
      '/etc/memtrace/memtrace.toml': '[server]\nport = 3',
      '/cwd/env.toml': '[server]\nport = 4',
      '/flag.toml': '[server]\nport = 5',
    };
    const { '/cwd/config/memtrace.toml': _, ...withoutFirst } = files;
    const { '/app/config/memtrace.toml': __, ...lastOnly } = withoutFirst;
    const env = { MEMTRACE_CONFIG: 'env.toml' };
    expect(load({ files }).config.server.port).toBe(1);
    expect(load({ files: withoutFirst }).config.server.port).toBe(2);
    expect(load({ files: lastOnly }).config.server.port).toBe(3);
    expect(load({ files, env }).config.server.port).toBe(4);
    expect(load({ files, env, flags: { config: '/flag.toml' } }).file).toBe('/flag.toml');
  });
});

describe('errors', () => {
  test('all at once, each with key, value, what is allowed and where it came from', () => {
    const file =
      '[server]\nport = 70000\nhots = "x"\n[wal]\nack = "sync"\n[buffer]\nmax_age = "5 minutes"\n';
    const env = { MEMTRACE_BUFFER_MAX_BYTES: '64M', MEMTRACE_DEDUP_ENABLED: 'constructor' };
    expect(problems({ file, env, flags: { 'log-level': 'loud' } })).toEqual([
      'server.hots (./config/memtrace.toml line 3): is not a known option; ' +
        'did you mean server.host?',
      'server.port = 70000 (./config/memtrace.toml line 2): ' +
        'must be a whole number from 0 to 65535',
      'log.level = loud (flag --log-level): must be one of info, debug, warn, error',
      'wal.ack = sync (./config/memtrace.toml line 5): must be one of fsync, memory',
      'buffer.max_bytes = 64M (environment variable MEMTRACE_BUFFER_MAX_BYTES): must be a size ' +
        'like "64MiB" (B, KiB, MiB, GiB, TiB, KB, MB, GB, TB) from 64KiB to 4GiB',
      'buffer.max_age = 5 minutes (./config/memtrace.toml line 7): must be a duration ' +
        'like "30s" or "1h30m" (ms, s, m, h, d, w) from 100ms to 1d',
      'dedup.enabled = constructor (environment variable MEMTRACE_DEDUP_ENABLED): ' +
        'must be true or false',
    ]);
  });

  test('also a wrong value that another one overrides', () => {
    expect(problems({ file: '[server]\nport = "x"', flags: { port: '1' } })).toHaveLength(1);
  });

  test.each([
    ['[serve]\nport = 1', '[serve] (./config/memtrace.toml line 2)', '[server]'],
    ['port = 1', 'port (./config/memtrace.toml line 1)', 'server.port'],
    ['[server]\nlevel = "info"', 'server.level (./config/memtrace.toml line 2)', 'log.level'],
    ['server.prot = 1', 'server.prot (./config/memtrace.toml line 1)', 'server.port'],
    ['[server.tls]\ncert = "x"', 'server.tls (./config/memtrace.toml)', null],
    ['[[server]]\nport = 1', 'server (./config/memtrace.toml)', null],
    ['[constructor]\nx = 1', '[constructor] (./config/memtrace.toml line 2)', null],
  ])('an unknown key is named with the nearest one: %j', (file, what, near) => {
    const [line, ...others] = problems({ file });
    expect(others).toEqual([]);
    expect(line?.startsWith(what)).toBe(true);
    expect(line?.includes('did you mean')).toBe(near !== null);
    expect(line).toContain(near ?? 'is not a known');
  });

  test('what is not TOML names line and column', () => {
    const [broken] = problems({ file: '[server]\nport = 9100\nmax = 64MiB\n' });
    expect(broken).toMatch(/^\.\/config\/memtrace\.toml: is not valid TOML: line 3, column \d+: /);
    const [twice] = problems({ file: '[server]\nport = 1\nport = 2\n' });
    expect(twice).toContain('line 3, column 1: ');
  });

  test('a file that is named must be there, and one that is there must be readable', () => {
    expect(problems({ flags: { config: 'mine.toml' } })).toEqual([
      'mine.toml (flag --config): there is no such file',
    ]);
    expect(problems({ env: { MEMTRACE_CONFIG: '/x.toml' } })).toEqual([
      '/x.toml (environment variable MEMTRACE_CONFIG): there is no such file',
    ]);
    const readFile = (): string => {
      throw new Error('EACCES');
    };
    expect(problems({ readFile })[0]).toContain('./config/memtrace.toml: cannot be read');
  });

  test('an unknown flag', () => {
    expect(problems({ flags: { prot: '1' } })).toEqual(['--prot: is not a flag']);
  });

  test.each([
    ['[server]\nhost = ""', 'server.host'],
    ['[storage]\nobjects = "bucket"', 'storage.objects'],
    ['[metadata]\nurl = "mysql://x"', 'metadata.url'],
    ['[server]\ncors_origins = ["https://a.example/path"]', 'server.cors_origins'],
    ['[server]\ncors_origins = [1]', 'server.cors_origins'],
    ['[server]\nport = 9100.5', 'server.port'],
    ['[server]\nport = 2026-01-01T00:00:00Z', 'server.port'],
    ['[storage]\ndata_dir = "a\\u0000b"', 'storage.data_dir'],
    ['[query]\nmemory_limit = "1MiB"', 'query.memory_limit'],
    ['[auth]\nbootstrap_key = "mtk_short"', 'auth.bootstrap_key'],
    ['[limits]\nbody_bytes = "32KiB"', 'limits.content_bytes'],
    ['[limits]\ninflight_bytes = "1MiB"', 'limits.body_bytes'],
    ['[storage]\nengine = "arc"', 'storage.engine'],
  ])('%j blames %s', (file, name) => {
    expect(problems({ file })[0]?.startsWith(name)).toBe(true);
  });
});

describe('authentication switched off', () => {
  const file = '[auth]\nenabled = false\n';

  test.each(['127.0.0.1', '127.1.2.3', 'localhost', '::1'])('is allowed on %s', (host) => {
    expect(load({ file, flags: { host } }).config.auth.enabled).toBe(false);
  });

  test.each(['0.0.0.0', '::', '192.168.1.5', 'example.com', '127.evil.com'])(
    'is refused on %s, unless it is said twice',
    (host) => {
      expect(problems({ file, flags: { host } })[0]).toMatch(
        /^auth\.enabled = false \(\.\/config\/memtrace\.toml line 2\): must be true while/,
      );
      expect(load({ file: `${file}allow_insecure = true`, flags: { host } })).toBeDefined();
    },
  );
});

describe('strange variables', () => {
  test('are warnings with the nearest name', () => {
    const { config, warnings } = load({ env: { MEMTRACE_SERVR_PORT: '9200' } });
    expect(config.server.port).toBe(9100);
    expect(warnings).toEqual([
      'environment variable MEMTRACE_SERVR_PORT is not an option and was ignored; ' +
        'did you mean MEMTRACE_SERVER_PORT?',
    ]);
  });

  test('of Kubernetes services are one warning, and a port of theirs is not ours', () => {
    const { config, warnings } = load({
      env: {
        MEMTRACE_SERVICE_PORT: 'tcp://10.0.0.1:9100',
        MEMTRACE_SERVICE_SERVICE_HOST: '10.0.0.1',
        MEMTRACE_SERVICE_SERVICE_PORT_HTTP: '9100',
        MEMTRACE_SERVICE_PORT_9100_TCP_ADDR: '10.0.0.1',
        MEMTRACE_SERVER_PORT: 'tcp://10.0.0.2:9100',
      },
    });
    expect(config.server.port).toBe(9100);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('MEMTRACE_SERVER_PORT, MEMTRACE_SERVICE_PORT');
  });

  test('of our clients are none of our business', () => {
    const env = { MEMTRACE_URL: 'http://x', MEMTRACE_API_KEY: 'mtk_x', OTHER: '1' };
    expect(load({ env }).warnings).toEqual([]);
  });
});

describe('memtrace 0.2', () => {
  // The keys of its configuration file, with values as operators have them.
  const file = [
    '[server]\nhost = "0.0.0.0"\nport = 9200',
    'read_timeout = 30\nwrite_timeout = 30\nshutdown_timeout = 45',
    '[log]\nlevel = "info"\nformat = "console"',
    '[arc]\nurl = ""\napi_key = ""\ndatabase = "agents"\nmeasurement = "events"',
    'connect_timeout = 5\nquery_timeout = 30',
    'write_batch_size = 100\nwrite_flush_interval_ms = 1000',
    '[auth]\nenabled = true\ndb_path = "./data/old.db"',
    '[dedup]\nenabled = true\nwindow_hours = 12\n',
  ].join('\n');

  test('its file loads; what has no meaning is a warning', () => {
    const { config, warnings } = load({ file });
    expect(config.server.port).toBe(9200);
    expect(config.server.shutdownTimeoutMs).toBe(45_000);
    expect(config.log.format).toBe('text');
    expect(config.auth.dbPath).toBe('./data/old.db');
    expect(config.arc.queryTimeoutMs).toBe(30_000);
    expect(config.dedup.windowHours).toBe(12);
    expect(warnings.map((warning) => warning.split(' ')[0])).toEqual([
      'server.read_timeout',
      'server.write_timeout',
      'arc.write_batch_size',
      'arc.write_flush_interval_ms',
    ]);
  });

  test('its variables load too', () => {
    const { config, warnings } = load({
      env: {
        MEMTRACE_SERVER_PORT: '9200',
        MEMTRACE_ARC_URL: 'http://arc:8000',
        MEMTRACE_ARC_API_KEY: 'secret',
        MEMTRACE_LOG_LEVEL: 'WARN',
        MEMTRACE_LOG_FORMAT: 'console',
        MEMTRACE_MASTER_KEY: 'c2VjcmV0',
        MEMTRACE_SERVER_READ_TIMEOUT: '30',
      },
    });
    expect(config.server.port).toBe(9200);
    expect(config.arc).toMatchObject({ url: 'http://arc:8000', apiKey: 'secret' });
    expect(config.log).toEqual({ level: 'warn', format: 'text' });
    expect(warnings.join('\n')).toMatch(
      /MEMTRACE_MASTER_KEY has no meaning here.*\n.*READ_TIMEOUT/,
    );
  });
});

describe('secrets', () => {
  const KEY = `mtk_${'a'.repeat(32)}`;

  test('never show among the sources or in errors', () => {
    const env = {
      MEMTRACE_AUTH_BOOTSTRAP_KEY: KEY,
      MEMTRACE_ARC_API_KEY: 'token-of-arc',
      MEMTRACE_METADATA_URL: 'postgres://user:p@ss@db/x',
    };
    const loaded = load({ env });
    expect(loaded.config.auth.bootstrapKey).toBe(KEY);
    expect(setting(loaded, 'auth.bootstrap_key')?.value).toBe('***');
    expect(setting(loaded, 'metadata.url')?.value).toBe('postgres://user:***@db/x');
    expect(JSON.stringify(loaded.sources)).not.toMatch(/aaaa|token-of-arc|p@ss|ss@/);
    expect(problems({ env: { MEMTRACE_AUTH_BOOTSTRAP_KEY: 'mtk_hunter2' } })[0]).not.toContain(
      'hunter2',
    );
    expect(problems({ file: '[auth]\nbootstrapkey = "mtk_hunter2"' })[0]).not.toContain('hunter2');
  });
});

test('a value is printed on one line', () => {
  const env = { MEMTRACE_SERVER_PORT: '1\n2\u001b[31m' };
  expect(problems({ env })[0]).toContain('server.port = 1\\n2\\u001b[31m (');
});

test('the generated file is the defaults, also with every line in force', () => {
  const everything = renderToml().replace(/^# (?=\w+ = )/gm, '');
  const { config, sources } = load({ file: everything });
  expect(config).toEqual(load().config);
  const given = sources.filter(({ source }) => source === 'file' || source === 'derived');
  expect(given).toHaveLength(OPTIONS.length);
});
