import type { Command } from 'commander';
import { orgView } from '../../internal/api/views.js';
import { formatUs } from '../../internal/base/clock.js';
import { isStorable } from '../../internal/event/text.js';
import { invalid } from '../../internal/fault/fault.js';
import { addConfigFlags } from './config.js';
import { operate } from './operate.js';
import { print, table } from './output.js';
import { configOf, withMetadata } from './store.js';

interface Options {
  json?: boolean;
  yes?: boolean;
}

/** `memtrace org create|list|delete` */
export function registerOrg(program: Command): void {
  const org = program.command('org').description('organizations: each sees only its own memories');
  const create = org
    .command('create <name>')
    .description('make an organization')
    .option('--json', 'print JSON');
  addConfigFlags(create).action(async (name: string, { json }: Options) => {
    if (name.length > 128 || name.trim() === '' || !isStorable(name)) {
      throw invalid('name', 'name must be 1 to 128 characters');
    }
    const made = await withMetadata(configOf(create), ({ keys }) => keys.createOrg(name));
    if (json) print(orgView(made));
    else process.stdout.write(`${made.id}\nnext: memtrace key create --org ${made.id} --name …\n`);
  });
  const list = org
    .command('list')
    .description('list the organizations')
    .option('--json', 'print JSON');
  addConfigFlags(list).action(async ({ json }: Options) => {
    const orgs = await withMetadata(configOf(list), ({ metadata }) => metadata.orgs.list());
    if (json) return print({ orgs: orgs.map(orgView), count: orgs.length });
    const rows = orgs.map(({ id, name, createdUs }) => [id, name, formatUs(createdUs)]);
    process.stdout.write(table(['ID', 'NAME', 'CREATED'], rows));
  });
  registerDelete(org);
}

function registerDelete(org: Command): void {
  const remove = org
    .command('delete <id-or-name>')
    .description('erase an organization with its memories, sessions, agents and keys')
    .option('--yes', 'really do it: there is no way back')
    .option('--json', 'print JSON');
  addConfigFlags(remove).action(async (idOrName: string, { json, yes }: Options) => {
    if (yes !== true) {
      throw invalid('--yes', `this erases everything of "${idOrName}": add --yes if you mean it`);
    }
    const config = configOf(remove);
    const operation = { command: 'org-delete', args: { org: idOrName } };
    const erased = await operate<{ id: string; name: string; deleted: number }>(config, operation);
    if (json) print({ ...erased, erased: true });
    else process.stdout.write(`erased ${erased.name} (${erased.id}): ${erased.deleted} memories\n`);
  });
}
