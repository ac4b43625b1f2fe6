/** What one row of the option table says, and the types that the whole Config is derived from. */

export type Kind = 'text' | 'int' | 'bool' | 'bytes' | 'duration' | 'choice' | 'list';

interface Details {
  /** The long flag of the command line, without dashes. */
  readonly flag?: string;
  /** Least and greatest value; of bytes and durations as they are written, e.g. `1MiB`. */
  readonly min?: number | string;
  readonly max?: number | string;
  /** Printed as `***` wherever it would show. */
  readonly secret?: true;
  /** What a text, or each item of a list, must match; an empty text is always the same as unset. */
  readonly pattern?: RegExp;
  /** `pattern` in words: "must be …". */
  readonly shape?: string;
  /** An empty text is refused. */
  readonly required?: true;
  /** What 0 or "" stands for, for the documents: "2 × requests_per_second". */
  readonly zero?: string;
  /** Other spellings of a choice. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** Declared for a later version: accepted by `config check`, without effect yet. */
  readonly reserved?: true;
  /** Reserved, and a server given another value than the default must not start: why. */
  readonly refused?: string;
}

export interface Row<K extends Kind = Kind, V = unknown> extends Details {
  readonly kind: K;
  /** Bytes and durations as they are written, e.g. `64MiB`. */
  readonly default: string | number | boolean | readonly string[];
  /** One or two sentences for operators. */
  readonly text: string;
  readonly choices?: readonly string[];
  /** Only for the compiler: the type that the option has in Config. */
  readonly valueType?: V;
}

export interface Section {
  readonly text: string;
  readonly options: Readonly<Record<string, Row>>;
}

export type Value = string | number | boolean | readonly string[];

/** Any text. */
export function text(value: string, about: string, more: Details = {}): Row<'text', string> {
  return { kind: 'text', default: value, text: about, ...more };
}

/** A whole number. */
export function int(value: number, about: string, more: Details = {}): Row<'int', number> {
  return { kind: 'int', default: value, text: about, ...more };
}

export function bool(value: boolean, about: string, more: Details = {}): Row<'bool', boolean> {
  return { kind: 'bool', default: value, text: about, ...more };
}

/** A size with a unit; a number of bytes in Config. */
export function bytes(value: string, about: string, more: Details = {}): Row<'bytes', number> {
  return { kind: 'bytes', default: value, text: about, ...more };
}

/** A time with a unit; a number of milliseconds in Config. */
export function duration(
  value: string,
  about: string,
  more: Details = {},
): Row<'duration', number> {
  return { kind: 'duration', default: value, text: about, ...more };
}

/** One of a few words; the first is the default. */
export function choice<const C extends readonly [string, ...string[]]>(
  choices: C,
  about: string,
  more: Details = {},
): Row<'choice', C[number]> {
  return { kind: 'choice', default: choices[0], choices, text: about, ...more };
}

/** A list of texts: an array in TOML, separated by commas in the environment. */
export function list(about: string, more: Details = {}): Row<'list', readonly string[]> {
  return { kind: 'list', default: [], text: about, ...more };
}

type Camel<S extends string> = S extends `${infer A}_${infer B}`
  ? `${A}${Capitalize<Camel<B>>}`
  : S;

/** `shutdown_timeout` → `shutdownTimeoutMs`, `segment_size` → `segmentSizeBytes`: unit last. */
type FieldName<K extends string, R> =
  R extends Row<'duration'>
    ? `${Camel<K>}Ms`
    : R extends Row<'bytes'>
      ? K extends `${string}_bytes`
        ? Camel<K>
        : `${Camel<K>}Bytes`
      : Camel<K>;

type ValueOf<R> = R extends Row<Kind, infer V> ? V : never;

type FieldsOf<O> = {
  readonly [K in keyof O & string as FieldName<K, O[K]>]: ValueOf<O[K]>;
};

/** The configuration that a table of sections describes. */
export type ConfigOf<T> = {
  readonly [S in keyof T]: T[S] extends { options: infer O } ? FieldsOf<O> : never;
};

/** The name of an option's field in Config; the twin of the type FieldName. */
export function fieldName(key: string, kind: Kind): string {
  const camel = key.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  if (kind === 'duration') return `${camel}Ms`;
  return kind === 'bytes' && !key.endsWith('_bytes') ? `${camel}Bytes` : camel;
}
