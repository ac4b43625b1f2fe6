/** One thing that is wrong with the configuration. */
export interface Problem {
  /** `server.port`, or the path of a file that is wrong as a whole. */
  readonly key: string;
  /** What was given, for people to see (secrets are `***`); null where that says nothing. */
  readonly value: string | null;
  /** What is wrong and what is allowed: `must be a whole number from 0 to 65535`. */
  readonly message: string;
  /** `config/memtrace.toml line 3`, `environment variable MEMTRACE_SERVER_PORT`, `flag --port`. */
  readonly from: string;
}

/** All that is wrong with the configuration, at once. The message has one line a problem. */
export class ConfigError extends Error {
  override name = 'ConfigError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(['The configuration is not valid:', ...problems.map(describe)].join('\n  '));
    this.problems = problems;
  }
}

/** `server.port = abc (flag --port): must be a whole number from 0 to 65535` */
export function describe({ key, value, message, from }: Problem): string {
  const what = value === null ? key : `${key} = ${value === '' ? '""' : value}`;
  return `${what}${from === '' ? '' : ` (${from})`}: ${message}`;
}
