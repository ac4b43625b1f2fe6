import type { Env } from './env.js';
import type { ConfigFile, Entry } from './file.js';
import { nearest } from './nearest.js';
import { LEGACY_KEYS, OPTIONS, type Option, OTHER_VARIABLES } from './options.js';
import type { Problem } from './problem.js';
import { SECTIONS } from './table.js';

/** A value that someone gave for an option. */
export interface Given {
  readonly raw: unknown;
  readonly source: 'flag' | 'env' | 'file';
  /** Where exactly, for people: `config/memtrace.toml line 3`. */
  readonly from: string;
}

/** What one source gives, by the name of the option, and what is wrong with the rest of it. */
export interface Layer {
  readonly given: ReadonlyMap<string, Given>;
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
}

const BY_NAME = new Map(OPTIONS.map((option) => [option.name, option]));
const BY_ENV = new Map(OPTIONS.map((option) => [option.env, option]));
const BY_FLAG = new Map(OPTIONS.map((option) => [option.row.flag, option]));
const LEGACY_ENV = new Map(
  Object.entries(LEGACY_KEYS).map(([name, hint]) => [envName(name), hint] as const),
);

function envName(name: string): string {
  return `MEMTRACE_${name.replace('.', '_')}`.toUpperCase();
}

/** What the flags give; `config` is not an option and names the file. */
export function flagLayer(flags: Readonly<Record<string, string>>): Layer {
  const given = new Map<string, Given>();
  const problems: Problem[] = [];
  for (const [flag, raw] of Object.entries(flags)) {
    const option = BY_FLAG.get(flag);
    if (option !== undefined)
      given.set(option.name, { raw, source: 'flag', from: `flag --${flag}` });
    else if (flag !== 'config') {
      problems.push({ key: `--${flag}`, value: null, message: 'is not a flag', from: '' });
    }
  }
  return { given, problems, warnings: [] };
}

/** An endpoint as Kubernetes writes it into the variables of a pod beside a Service. */
const SERVICE_LINK = /^(tcp|udp|sctp):\/\//;
const SERVICE_LINK_NAME = /_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?$/;

/**
 * What the environment gives. A variable that is set to nothing is not set. Kubernetes adds
 * variables named after Services, also `MEMTRACE_SERVER_PORT=tcp://…` for one that is called
 * memtrace-server: what is not ours is a warning and never stops the server.
 */
export function envLayer(env: Env): Layer {
  const given = new Map<string, Given>();
  const warnings: string[] = [];
  const links: string[] = [];
  for (const [name, raw] of Object.entries(env)) {
    if (!name.startsWith('MEMTRACE_') || raw === undefined || raw === '') continue;
    const option = BY_ENV.get(name);
    if (isServiceLink(name, raw, option)) links.push(name);
    else if (option !== undefined) {
      given.set(option.name, { raw, source: 'env', from: `environment variable ${name}` });
    } else {
      const warning = strangeVariable(name);
      if (warning !== null) warnings.push(warning);
    }
  }
  if (links.length > 0) warnings.push(linkWarning(links.sort()));
  return { given, problems: [], warnings };
}

function isServiceLink(name: string, raw: string, option: Option | undefined): boolean {
  if (option !== undefined) return option.row.kind === 'int' && SERVICE_LINK.test(raw);
  return SERVICE_LINK.test(raw) || SERVICE_LINK_NAME.test(name);
}

function linkWarning(links: readonly string[]): string {
  return (
    `ignored what looks like Kubernetes service links: ${links.join(', ')} ` +
    '(enableServiceLinks: false in the pod keeps them away)'
  );
}

function strangeVariable(name: string): string | null {
  const note = OTHER_VARIABLES[name];
  if (note === null) return null;
  const legacy = note ?? LEGACY_ENV.get(name);
  if (legacy !== undefined) return `environment variable ${name} has no meaning here: ${legacy}`;
  const near = nearest(name, [...BY_ENV.keys()]);
  const hint = near === null ? '' : `; did you mean ${near}?`;
  return `environment variable ${name} is not an option and was ignored${hint}`;
}

/** What the file gives. Here a strange key is an error: somebody wrote it for us. */
export function fileLayer(file: ConfigFile | null): Layer {
  const given = new Map<string, Given>();
  const problems: Problem[] = [];
  const warnings: string[] = [];
  for (const entry of file?.entries ?? []) {
    const name = `${entry.section}.${entry.key}`;
    const from = `${file?.path}${entry.line === null ? '' : ` line ${entry.line}`}`;
    const legacy = LEGACY_KEYS[name];
    if (BY_NAME.has(name)) given.set(name, { raw: entry.value, source: 'file', from });
    else if (legacy === undefined) problems.push(strangeKey(entry, from));
    else warnings.push(`${name} (${from}) has no meaning here: ${legacy}`);
  }
  return { given, problems, warnings };
}

function strangeKey({ section, key }: Entry, from: string): Problem {
  const known = Object.hasOwn(SECTIONS, section) ? SECTIONS[section] : undefined;
  const name = key === '' ? section : `${section}.${key}`;
  if (known === undefined && key !== '') {
    return unknown(`[${section}]`, from, nearestSection(section, key));
  }
  const exact = sameKey(key === '' ? section : key);
  const inSection = nearest(key, Object.keys(known?.options ?? {}));
  return unknown(name, from, exact ?? (inSection === null ? null : `${section}.${inSection}`));
}

function nearestSection(section: string, key: string): string | null {
  const near = nearest(section, Object.keys(SECTIONS));
  return near === null ? sameKey(key) : `[${near}]`;
}

/** The option that has this key in whatever section. */
function sameKey(key: string): string | null {
  return OPTIONS.find((option) => option.key === key)?.name ?? null;
}

function unknown(key: string, from: string, near: string | null): Problem {
  const what = key.startsWith('[') ? 'section' : 'option';
  const hint = near === null ? '' : `; did you mean ${near}?`;
  return { key, value: null, message: `is not a known ${what}${hint}`, from };
}
