import type { Row, Section } from './option.js';
import { OPTIONS, type Option } from './options.js';
import { SECTIONS } from './table.js';
import { rangeOf } from './value.js';

/** What stands above the options in config/memtrace.toml. */
const TOML_HEAD = `\
# Configuration of memtrace: every option with its default. Remove the "#" of a line to change it.
#
# A flag goes before an environment variable (MEMTRACE_SECTION_KEY), that before this file, and this
# file before the default. It is looked for at --config, MEMTRACE_CONFIG, ./config/memtrace.toml,
# /app/config/memtrace.toml and /etc/memtrace/memtrace.toml. See also \`memtrace config check\`.
#
# This file is generated from the option table in internal/config/table.ts.
`;

/** config/memtrace.toml: every option, commented out, with its default and what it does. */
export function renderToml(): string {
  const sections = Object.entries(SECTIONS).map(([name, section]) => tomlSection(name, section));
  return [TOML_HEAD, ...sections].join('\n');
}

function tomlSection(name: string, section: Section): string {
  const options = optionsOf(name).map(({ key, row }) => {
    const about = wrap(plainSentences(row), 97).map((line) => `# ${line}\n`);
    return `${about.join('')}# ${key} = ${tomlValue(row)}\n`;
  });
  return `# ${section.text}\n[${name}]\n${options.join('\n')}`;
}

/** The default of an option as TOML. */
function tomlValue({ default: value, kind }: Row): string {
  return kind === 'bytes' && value === '0' ? '0' : JSON.stringify(value);
}

/** The options for `--help`, grouped by section. */
export function renderHelp(): string {
  const groups = Object.entries(SECTIONS).map(([name, section]) => {
    const options = optionsOf(name).map(({ key, env, row }) => {
      const flag = row.flag === undefined ? '' : `--${row.flag}, `;
      const about = wrap(plainSentences(row), 92).map((line) => `\n      ${line}`);
      return `  ${`${key} = ${tomlValue(row)}`.padEnd(36)} ${flag}${env}${about.join('')}`;
    });
    return `[${name}] ${section.text}\n${options.join('\n')}\n`;
  });
  const head = 'Options in the configuration file, and the flag and environment variable of each:';
  return [head, ...groups].join('\n\n').replaceAll('\n\n\n', '\n\n');
}

const MARKDOWN_HEAD = `# Configuration

<!-- Generated from the option table in internal/config/table.ts. -->

memtrace runs without any configuration. What you set comes from four places; the first that has a
value counts:

1. a flag of the command line: \`memtrace serve --port 9200\`
2. an environment variable: \`[server] port\` is \`MEMTRACE_SERVER_PORT\`. One that is set to
   nothing counts as not set.
3. the configuration file, in [TOML](https://toml.io): the one that \`--config\` names, or else
   \`MEMTRACE_CONFIG\`, or else the first that exists of \`./config/memtrace.toml\`,
   \`/app/config/memtrace.toml\` and \`/etc/memtrace/memtrace.toml\`
4. the default

\`memtrace config check\` shows every effective value and its source (\`--json\` for scripts). It
exits with 0 if they are valid, and with 1 after naming everything that is wrong at
once. An unknown key in a file is an error. An unknown \`MEMTRACE_\` variable is a warning, as
Kubernetes adds some of its own; so is an address like \`tcp://10.0.0.1:9100\` where a port
belongs.

Sizes have a unit: \`B\`, \`KiB\`, \`MiB\`, \`GiB\`, \`TiB\` (powers of 1024), \`KB\`, \`MB\`,
\`GB\`, \`TB\` (of 1000); a bare number is bytes. Durations too: \`ms\`, \`s\`, \`m\`, \`h\`,
\`d\`, \`w\`, also together (\`1h30m\`); a bare number is seconds. Lists are arrays in the file
and separated by commas elsewhere. Relative paths start at the working directory. Secrets are
never printed.

Options marked *reserved* belong to a later version: \`config check\` accepts them, and \`serve\`
refuses to start with one that it cannot honour.
`;

const MARKDOWN_TAIL = `
## Coming from memtrace 0.2 (Go)

Its configuration file and variables load as they are. \`format = "console"\` is \`text\`, and
timeouts that are bare numbers are seconds. \`read_timeout\`, \`write_timeout\`,
\`write_batch_size\`, \`write_flush_interval_ms\` and \`MEMTRACE_MASTER_KEY\` have no meaning here
and are warned about. It also looked for \`./memtrace.toml\` and \`~/.memtrace/memtrace.toml\`:
name those with \`--config\`. Its default address was \`0.0.0.0\`; here it is \`127.0.0.1\`.
`;

/** docs/configuration.md: how configuration works, and every option. */
export function renderMarkdown(): string {
  const sections = Object.entries(SECTIONS).map(([name, section]) => {
    const rows = optionsOf(name).map(markdownRow);
    const head = '| Key | Default | Allowed | What it does |\n|---|---|---|---|';
    return `\n## [${name}]\n\n${section.text}\n\n${head}\n${rows.join('\n')}\n`;
  });
  return [MARKDOWN_HEAD, ...sections, MARKDOWN_TAIL].join('');
}

function markdownRow({ key, env, row }: Option): string {
  const flag = row.flag === undefined ? '' : `<br>\`--${row.flag}\``;
  const cells = [
    `\`${key}\`<br>\`${env}\`${flag}`,
    `\`${tomlValue(row)}\``,
    allowedCell(row),
    sentences(row),
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function allowedCell(row: Row): string {
  if (row.choices !== undefined) return row.choices.map((choice) => `\`${choice}\``).join(' · ');
  switch (row.kind) {
    case 'bool':
      return '`true` · `false`';
    case 'int':
      return `whole number${rangeOf(row)}`;
    case 'bytes':
      return `size${rangeOf(row)}`;
    case 'duration':
      return `duration${rangeOf(row)}`;
    default:
      return row.shape ?? 'text';
  }
}

/** What an option does, what its zero means, and what else there is to know. */
function sentences(row: Row): string {
  const zero = row.default === '' ? 'Empty' : '0';
  return [
    row.text,
    row.zero === undefined ? '' : `${zero}: ${row.zero}.`,
    row.secret === true ? 'Secret.' : '',
    row.reserved === true ? 'Reserved.' : '',
  ]
    .filter((sentence) => sentence !== '')
    .join(' ');
}

/** Where no column shows the choices. */
function plainSentences(row: Row): string {
  const choices = row.choices === undefined ? '' : ` One of ${row.choices.join(', ')}.`;
  return sentences(row) + choices;
}

function optionsOf(section: string): Option[] {
  return OPTIONS.filter((option) => option.section === section);
}

/** Lines of at most `width` characters, broken at spaces. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
