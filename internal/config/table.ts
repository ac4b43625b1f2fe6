import {
  bool,
  bytes,
  type ConfigOf,
  choice,
  duration,
  int,
  list,
  type Section,
  text,
} from './option.js';
import { SCRUB } from './scrub.js';

/**
 * THE option table. A row yields the TOML key, the environment variable (MEMTRACE_SECTION_KEY),
 * the flag, the field of Config, the help text, config/memtrace.toml and docs/configuration.md;
 * nothing else needs to know of a new option. After a change run `generate` (see generate.ts).
 */
const TABLE = {
  server: {
    text: 'Where the server listens and how long it waits.',
    options: {
      host: text('127.0.0.1', 'Address to listen on; 0.0.0.0 for all interfaces.', {
        flag: 'host',
        required: true,
      }),
      port: int(9100, 'TCP port of the HTTP interface; 0 takes a free one.', {
        flag: 'port',
        min: 0,
        max: 65_535,
      }),
      shutdown_timeout: duration(
        '30s',
        'After SIGTERM, how long requests and the flush may take.',
        {
          min: '1s',
          max: '1h',
        },
      ),
      max_connections: int(10_000, 'Connections open at once; further ones are closed at once.', {
        min: 1,
        max: 1_000_000,
      }),
      request_timeout: duration('60s', 'How long a request may take to arrive with its body.', {
        min: '1s',
        max: '1h',
      }),
      headers_timeout: duration('15s', 'How long the headers of a request may take to arrive.', {
        min: '1s',
        max: '1h',
      }),
      keep_alive_timeout: duration(
        '75s',
        'How long an idle connection stays open; keep it above that of a load balancer in front.',
        { min: '1s', max: '1h' },
      ),
      cors_origins: list(
        'Origins whose web pages may call the API, e.g. "https://app.example.com". ' +
          'None by default; "*" allows every page.',
        { pattern: /^(\*|https?:\/\/[^/\s]+)$/, shape: 'origins like "https://app.example.com"' },
      ),
    },
  },
  log: {
    text: 'What the process writes to standard output.',
    options: {
      level: choice(['info', 'debug', 'warn', 'error'], 'The least severe entries to write.', {
        flag: 'log-level',
        aliases: { warning: 'warn' },
      }),
      format: choice(
        ['json', 'text'],
        'One JSON object a line, for collectors; or one readable line an entry, for people.',
        { flag: 'log-format', aliases: { console: 'text' } },
      ),
    },
  },
  auth: {
    text: 'Who may call the API.',
    options: {
      enabled: bool(
        true,
        'Whether requests need an API key. ' +
          'Switching it off needs a loopback host or allow_insecure.',
      ),
      allow_insecure: bool(
        false,
        'Allows auth.enabled = false on an address that other machines can reach.',
      ),
      db_path: text(
        '',
        'The SQLite file with organizations, keys, agents, sessions and the catalog.',
        { zero: 'memtrace.db in storage.data_dir' },
      ),
      bootstrap_key: text(
        '',
        'The admin key of the organization "default", for containers: from a Secret. ' +
          'Another value at a later start replaces it.',
        {
          secret: true,
          pattern: /^mtk_[A-Za-z0-9_-]{32,252}$/,
          shape: '"mtk_" and at least 32 more letters, digits, "-" or "_"',
          zero: 'one is made at the first start and written to admin.key in storage.data_dir',
        },
      ),
    },
  },
  storage: {
    text: 'Where events are kept.',
    options: {
      data_dir: text('./data', 'Directory of everything that the server stores.', {
        flag: 'data-dir',
        required: true,
      }),
      engine: choice(['parquet', 'arc'], 'The store: embedded Parquet files, or a remote Arc.', {
        reserved: true,
        refused: 'the remote store Arc is not part of this version: use "parquet"',
      }),
      objects: text('', 'Where Parquet files are kept.', {
        zero: 'storage.data_dir',
        pattern: /^s3:\/\/[^/\s]+(\/\S*)?$/,
        shape: 'a URL like s3://bucket/prefix',
        reserved: true,
        refused: 'object storage is not part of this version: leave it empty',
      }),
    },
  },
  metadata: {
    text: 'Where organizations, keys, sessions and the catalog are kept.',
    options: {
      url: text('', 'A PostgreSQL database shared by several servers.', {
        zero: 'the SQLite file auth.db_path',
        pattern: /^postgres(ql)?:\/\/\S+$/,
        shape: 'a URL like postgres://user:password@host/database',
        reserved: true,
        refused: 'PostgreSQL is not part of this version: leave it empty',
      }),
    },
  },
  cache: {
    text: 'A cache shared by several servers.',
    options: {
      url: text('', 'A Redis server.', {
        zero: 'no shared cache',
        pattern: /^rediss?:\/\/\S+$/,
        shape: 'a URL like redis://host:6379',
        reserved: true,
        refused: 'a shared cache is not part of this version: leave it empty',
      }),
    },
  },
  arc: {
    text: 'A remote Arc database as the store.',
    options: {
      url: text('', 'Base URL of Arc.', {
        zero: 'the embedded store',
        pattern: /^https?:\/\/\S+$/,
        shape: 'a URL like http://arc-service:8000',
        reserved: true,
        refused: 'the remote store Arc is not part of this version: leave it empty',
      }),
      api_key: text('', 'The token that Arc expects.', { secret: true, reserved: true }),
      database: text('memory', 'Database in Arc.', { reserved: true, required: true }),
      measurement: text('events', 'Measurement in Arc.', { reserved: true, required: true }),
      connect_timeout: duration('5s', 'How long a connection to Arc may take.', {
        min: '100ms',
        max: '10m',
        reserved: true,
      }),
      query_timeout: duration('30s', 'How long a query of Arc may take.', {
        min: '100ms',
        max: '1h',
        reserved: true,
      }),
    },
  },
  wal: {
    text: 'The write-ahead log: what makes an acknowledged event durable.',
    options: {
      ack: choice(
        ['fsync', 'memory'],
        'When a write is acknowledged: after its log record is synced to the disk, or before, ' +
          'which loses the last moments of a crash.',
      ),
      segment_size: bytes('64MiB', 'Size of one file of the log, allocated in advance.', {
        min: '64KiB',
        max: '4GiB',
      }),
      max_pending: bytes(
        '64MiB',
        'Bytes that may wait for the disk; beyond it writes are answered with 503.',
        { min: '1MiB', max: '4GiB' },
      ),
    },
  },
  buffer: {
    text: 'When acknowledged events become Parquet files: at whichever limit is reached first.',
    options: {
      max_rows: int(50_000, 'Events in the buffer.', { min: 1, max: 10_000_000 }),
      max_bytes: bytes('64MiB', 'Bytes in the buffer.', { min: '64KiB', max: '4GiB' }),
      max_age: duration('5m', 'Age of the oldest event in the buffer.', {
        min: '100ms',
        max: '1d',
      }),
    },
  },
  dedup: {
    text: 'Equal events are stored once.',
    options: {
      enabled: bool(
        true,
        'Whether events without a dedup_key of their own are compared; ' +
          'one that the client sends always counts.',
      ),
      window_hours: int(24, 'Hours after which an equal event is a new one.', {
        min: 1,
        max: 8_760,
      }),
      content_bytes: bytes('0', 'How many bytes of the content are compared.', {
        min: 1,
        max: '1GiB',
        zero: 'all of it',
      }),
    },
  },
  limits: {
    text: 'What one request may hold and ask for.',
    options: {
      content_bytes: bytes('64KiB', 'Greatest content of one memory.', { min: 1, max: '16MiB' }),
      metadata_bytes: bytes('16KiB', 'Greatest metadata of one memory, serialized.', {
        min: 2,
        max: '16MiB',
      }),
      batch_items: int(1_000, 'Memories in one batch.', { min: 1, max: 100_000 }),
      body_bytes: bytes(
        '10MiB',
        'Greatest request body after decompression; NDJSON has no limit.',
        {
          min: '1KiB',
          max: '1GiB',
        },
      ),
      requests_per_second: int(0, 'Requests per second and API key, on average.', {
        min: 0,
        max: 1_000_000,
        zero: 'no limit',
      }),
      burst: int(0, 'Requests that a key may send at once before the average counts.', {
        min: 0,
        max: 10_000_000,
        zero: 'twice requests_per_second',
      }),
      inflight_bytes: bytes(
        '64MiB',
        'Bytes of all requests being worked on; beyond it requests are answered with 503.',
        { min: '1MiB', max: '16GiB' },
      ),
    },
  },
  query: {
    text: 'What reading may cost.',
    options: {
      timeout: duration('30s', 'How long one query may take.', { min: '10ms', max: '1h' }),
      max_concurrent: int(4, 'Queries at once.', { min: 1, max: 256 }),
      max_queued: int(64, 'Queries that may wait; further ones are answered with 503.', {
        min: 0,
        max: 100_000,
      }),
      memory_limit: bytes('0', 'Memory of the query engine.', {
        min: '32MiB',
        max: '1TiB',
        zero: 'a quarter of the memory of the container or machine, from 128MiB to 1GiB',
      }),
      threads: int(
        1,
        'Threads of the query engine. More answer one large search sooner, and writers later.',
        {
          min: 0,
          max: 1_024,
          zero: 'as many as the machine has cores',
        },
      ),
    },
  },
  compaction: {
    text: 'Many small files become few large ones.',
    options: {
      enabled: bool(true, 'Whether files are merged in the background.'),
      interval: duration('5m', 'How often the server looks for files to merge.', {
        min: '100ms',
        max: '1d',
      }),
      min_files: int(4, 'Files of one day before they are merged.', { min: 2, max: 10_000 }),
    },
  },
  retention: {
    text: 'How long events are kept.',
    options: {
      days: int(0, 'Days by event time; an organization may set its own.', {
        min: 0,
        max: 36_500,
        zero: 'everything is kept',
      }),
      sweep_interval: duration('1h', 'How often what has expired is removed from the disk.', {
        min: '1s',
        max: '7d',
      }),
    },
  },
  erasure: {
    text: 'Deleted memories vanish from every answer at once, and from the disk a little later.',
    options: {
      deadline: duration('24h', 'By when the bytes are gone from every file.', {
        min: '1m',
        max: '30d',
      }),
    },
  },
  scrub: SCRUB,
  backup: {
    text: 'Copies of everything in another place: memtrace backup, memtrace restore.',
    options: {
      target: text(
        '',
        'Where backups are made by themselves: a directory, or s3://bucket/prefix.',
        {
          zero: 'no backups but those of memtrace backup create',
        },
      ),
      incremental_every: duration('1h', 'How often what is new is copied; 0 for never.', {
        min: '0s',
        max: '7d',
      }),
      full_every: duration(
        '24h',
        'How often a backup reads everything in the target again; 0 for never.',
        { min: '0s', max: '90d' },
      ),
      keep_hourly: int(48, 'Of so many hours that have backups the newest one is kept.', {
        min: 0,
        max: 10_000,
      }),
      keep_daily: int(30, 'The same of days.', { min: 0, max: 10_000 }),
      keep_weekly: int(26, 'The same of weeks.', { min: 0, max: 10_000 }),
      delete_after_days: int(180, 'Older backups go, however many are kept; never the newest.', {
        min: 0,
        max: 36_500,
        zero: 'no limit',
      }),
      wal_every: duration(
        '60s',
        'How often what was acknowledged since is sent to the target: what a lost machine costs ' +
          'at most; 0 for never.',
        { min: '0s', max: '1h' },
      ),
      wal_hold_size: bytes(
        '1GiB',
        'How large the log may grow while the target is out of reach. Beyond it flushed records ' +
          'go without having been sent, until the next backup.',
        { min: '64MiB', max: '1TiB' },
      ),
      s3_endpoint: text('', 'Address of an S3 server other than AWS, e.g. OBS or MinIO.', {
        zero: 'AWS, in the region',
        pattern: /^https?:\/\/\S+$/,
        shape: 'a URL like https://obs.example.com',
      }),
      s3_region: text('', 'Region of the bucket.', {
        zero: 'AWS_REGION of the environment, else us-east-1',
      }),
      s3_path_style: bool(
        false,
        'Whether the bucket is a part of the path instead of the host name, as MinIO wants it.',
      ),
      s3_access_key: text('', 'Access key of S3.', {
        zero: 'what the environment, the profile or the machine gives',
      }),
      s3_secret_key: text('', 'Secret key of S3; set it together with s3_access_key.', {
        secret: true,
      }),
    },
  },
  telemetry: {
    text: 'Traces of requests, for OpenTelemetry.',
    options: {
      otlp_endpoint: text('', 'A collector that takes OTLP over HTTP; spans go to /v1/traces.', {
        zero: 'no traces',
        pattern: /^https?:\/\/\S+$/,
        shape: 'a URL like http://collector:4318',
      }),
      sample_percent: int(
        100,
        'Of the traces that begin here, how many are recorded; what a caller decided is kept.',
        { min: 1, max: 100 },
      ),
      service_name: text('memtrace', 'The name of the service in the traces.', { required: true }),
    },
  },
} as const satisfies Readonly<Record<string, Section>>;

/** The effective configuration: bytes as numbers of bytes, durations as numbers of milliseconds. */
export type Config = ConfigOf<typeof TABLE>;

export const SECTIONS: Readonly<Record<string, Section>> = TABLE;
