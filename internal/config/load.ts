import { join } from 'node:path';
import type { Env } from './env.js';
import {
  type ConfigFile,
  ConfigFileError,
  type ReadFile,
  readConfigFile,
  readFileIfThere,
} from './file.js';
import { envLayer, fileLayer, flagLayer, type Given, type Layer } from './layers.js';
import { defaultQueryMemory, type Machine, readMachine } from './machine.js';
import { fieldName, type Value } from './option.js';
import { OPTIONS, type Option } from './options.js';
import { ConfigError, type Problem } from './problem.js';
import { brokenRules, valueAt } from './rules.js';
import type { Config } from './table.js';
import { parseValue, shown, written } from './value.js';

export interface LoadInput {
  /** By the name of the flag without dashes: `{ port: '9200', config: 'my.toml' }`. */
  readonly flags?: Readonly<Record<string, string>>;
  readonly env: Env;
  /** Relative paths of configuration files start here. */
  readonly cwd: string;
  readonly readFile?: ReadFile;
  readonly machine?: Machine;
}

/** The effective value of one option and where it came from. */
export interface Setting {
  readonly name: string;
  /** As an operator would write it; a secret is `***`, or empty if there is none. */
  readonly value: Value;
  readonly source: Given['source'] | 'default' | 'derived';
  /** The file and line, the variable or the flag; empty for a default. */
  readonly from: string;
}

export interface Loaded {
  readonly config: Config;
  /** The configuration file that was read, or null. */
  readonly file: string | null;
  readonly sources: readonly Setting[];
  readonly warnings: readonly string[];
}

/**
 * The configuration: flag before environment before file before default. Every value that was
 * given is checked, also one that another overrides.
 * @throws ConfigError with everything that is wrong
 */
export function loadConfig(input: LoadInput): Loaded {
  const { file, problem } = openFile(input);
  const layers = [flagLayer(input.flags ?? {}), envLayer(input.env), fileLayer(file)];
  const problems = [...(problem === null ? [] : [problem]), ...layers.flatMap((l) => l.problems)];
  const chosen = OPTIONS.map((option) => choose(option, layers, problems));
  if (problems.length > 0) throw new ConfigError(problems);

  const raw = nest(chosen);
  const config = freeze(derive(raw, input.machine ?? readMachine(input.readFile)));
  const broken = brokenRules(config).map(({ name, message }) => blame(name, message, chosen));
  if (broken.length > 0) throw new ConfigError(broken);
  return {
    config,
    file: file?.path ?? null,
    sources: chosen.map((choice) => settingOf(choice, config)),
    warnings: layers.flatMap((layer) => layer.warnings),
  };
}

interface Opened {
  readonly file: ConfigFile | null;
  readonly problem: Problem | null;
}

function openFile({ flags, env, cwd, readFile = readFileIfThere }: LoadInput): Opened {
  const flag = flags?.['config'];
  const variable = env['MEMTRACE_CONFIG'] || undefined;
  try {
    return { file: readConfigFile(flag ?? variable, cwd, readFile), problem: null };
  } catch (error) {
    if (!(error instanceof ConfigFileError)) throw error;
    const named = variable === undefined ? '' : 'environment variable MEMTRACE_CONFIG';
    const from = flag === undefined ? named : 'flag --config';
    return { file: null, problem: { key: error.path, value: null, message: error.message, from } };
  }
}

/** An option with the value that counts; `given` is null for the default. */
interface Choice {
  readonly option: Option;
  readonly given: Given | null;
  readonly value: Value;
}

function choose(option: Option, layers: readonly Layer[], problems: Problem[]): Choice {
  let choice: Choice | null = null;
  for (const layer of layers) {
    const given = layer.given.get(option.name);
    if (given === undefined) continue;
    const parsed = parseValue(option.row, given.raw);
    if ('allowed' in parsed) {
      problems.push({
        key: option.name,
        value: shown(option.row, given.raw),
        message: `must be ${parsed.allowed}`,
        from: given.from,
      });
    } else {
      choice ??= { option, given, value: parsed.value };
    }
  }
  return choice ?? { option, given: null, value: defaultOf(option) };
}

function defaultOf({ row, name }: Option): Value {
  const parsed = parseValue(row, row.default);
  if ('value' in parsed) return parsed.value;
  throw new Error(`the default of ${name} must be ${parsed.allowed}`);
}

function nest(choices: readonly Choice[]): Config {
  const sections: Record<string, Record<string, Value>> = {};
  for (const { option, value } of choices) {
    const section = sections[option.section] ?? {};
    sections[option.section] = section;
    section[fieldName(option.key, option.row.kind)] = value;
  }
  // The type Config and these names come from the same table; a test compares the two.
  return sections as unknown as Config;
}

/** Replaces the zeros that stand for something else. */
function derive(config: Config, machine: Machine): Config {
  const { auth, limits, query } = config;
  return {
    ...config,
    auth: { ...auth, dbPath: auth.dbPath || join(config.storage.dataDir, 'memtrace.db') },
    limits: { ...limits, burst: limits.burst || 2 * limits.requestsPerSecond },
    query: {
      ...query,
      memoryLimitBytes: query.memoryLimitBytes || defaultQueryMemory(machine),
      threads: query.threads || machine.cores,
    },
  };
}

function freeze(config: Config): Config {
  for (const section of Object.values(config)) {
    for (const value of Object.values(section)) Object.freeze(value);
    Object.freeze(section);
  }
  return Object.freeze(config);
}

function blame(name: string, message: string, choices: readonly Choice[]): Problem {
  const found = choices.find(({ option }) => option.name === name);
  const value = found === undefined ? null : writtenText(found.option, found.value);
  return { key: name, value, message, from: found?.given?.from ?? 'default' };
}

function writtenText({ row }: Option, value: Value): string {
  return shown(row, written(row, value));
}

function settingOf({ option, given, value }: Choice, config: Config): Setting {
  const { section, key, name, row } = option;
  const effective = valueAt(config, section, fieldName(key, row.kind));
  const source = effective === value ? (given?.source ?? 'default') : 'derived';
  const plain = typeof effective !== 'string' && row.secret !== true;
  return {
    name,
    value: plain ? written(row, effective) : masked(option, effective),
    source,
    from: given?.from ?? '',
  };
}

function masked({ row }: Option, value: Value): Value {
  return value === '' ? '' : shown(row, value);
}
