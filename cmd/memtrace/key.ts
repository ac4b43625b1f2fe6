import type { Command } from 'commander';
import { keyView } from '../../internal/api/views.js';
import { systemClock } from '../../internal/base/clock.js';
import { decodeKey } from '../../internal/event/requests.js';
import { Fault } from '../../internal/fault/fault.js';
import type { Org } from '../../internal/metadata/metadata.js';
import { addConfigFlags } from './config.js';
import { print, table } from './output.js';
import { configOf, type MetadataAccess, withMetadata } from './store.js';

interface Options {
  org: string;
  name?: string;
  permissions?: string;
  expiresAt?: string;
  json?: boolean;
}

/** `memtrace key create|list|revoke` */
export function registerKey(program: Command): void {
  const key = program.command('key').description('API keys of an organization');
  registerCreate(key);
  const list = key
    .command('list')
    .description('list keys, revoked ones included')
    .requiredOption('--org <id-or-name>', 'the organization')
    .option('--json', 'print JSON');
  addConfigFlags(list).action(async ({ org, json }: Options) => {
    const keys = await withMetadata(configOf(list), async (access) =>
      access.keys.list((await orgOf(access, org)).id),
    );
    const views = keys.map(keyView);
    if (json) return print({ keys: views, count: views.length });
    const rows = views.map((view) => {
      const state = 'revoked_at' in view ? 'revoked' : 'active';
      return [view.id, view.name, view.prefix, view.permissions.join(','), state];
    });
    process.stdout.write(table(['ID', 'NAME', 'PREFIX', 'PERMISSIONS', 'STATE'], rows));
  });
  const revoke = key
    .command('revoke <id>')
    .description('revoke a key; a running server refuses it within 5 s')
    .requiredOption('--org <id-or-name>', 'the organization')
    .option('--json', 'print JSON');
  addConfigFlags(revoke).action(async (id: string, { org, json }: Options) => {
    await withMetadata(configOf(revoke), async (access) =>
      access.keys.revoke((await orgOf(access, org)).id, id),
    );
    if (json) print({ id, revoked: true });
    else process.stdout.write(`revoked ${id}\n`);
  });
}

function registerCreate(key: Command): void {
  const create = key
    .command('create')
    .description('make a key; it is shown this once')
    .requiredOption('--org <id-or-name>', 'the organization')
    .requiredOption('--name <name>', 'what the key is for')
    .option('--permissions <list>', 'read, write, admin, separated by commas', 'read,write')
    .option('--expires-at <time>', 'RFC 3339 time from which it is refused')
    .option('--json', 'print JSON');
  addConfigFlags(create).action(async (options: Options) => {
    const permissions = options.permissions?.split(',').map((one) => one.trim());
    const sent = { name: options.name, permissions, expires_at: options.expiresAt };
    const input = decodeKey(sent, systemClock.nowUs());
    const made = await withMetadata(configOf(create), async (access) =>
      access.keys.create((await orgOf(access, options.org)).id, input),
    );
    if (options.json) print({ ...keyView(made.key), org_id: made.key.orgId, key: made.secret });
    else process.stdout.write(`${made.secret}\n`);
  });
}

async function orgOf({ metadata }: MetadataAccess, idOrName: string): Promise<Org> {
  const org = await metadata.orgs.find(idOrName);
  if (org !== null) return org;
  throw new Fault('not_found', `there is no organization "${idOrName}"`, {
    hint: 'memtrace org list shows them',
  });
}
