import { expect, it } from 'vitest';
import { freshSeed, type Random } from '../support/random.js';
import { Difference } from './model/compare.js';
import * as reads from './model/reads.js';
import * as registry from './model/registry.js';
import { type Org, World } from './model/world.js';
import * as writes from './model/writes.js';

const OPERATIONS = Number(process.env['MODEL_OPERATIONS'] ?? 2_000);
const TIMEOUT_MS = 600_000;
const RESTART_EVERY = 250;

type Operation = (world: World, org: Org) => Promise<void>;

/** Each with its weight. */
const MENU: readonly [number, Operation][] = [
  [30, writes.writeOne],
  [6, writes.writeBatch],
  [4, writes.writeWithKey],
  [3, writes.retry],
  [2, writes.writeStream],
  [3, writes.writeInvalid],
  [14, reads.list],
  [4, reads.listOf],
  [4, reads.walkDown],
  [1, reads.foreignCursor],
  [8, reads.search],
  [5, reads.getOne],
  [3, reads.getGone],
  [4, reads.context],
  [3, registry.deleteOne],
  [1, registry.deleteSome],
  [2, registry.createSession],
  [2, registry.changeSession],
  [2, registry.readSessions],
  [1, registry.deleteSession],
  [1, registry.createAgent],
  [2, registry.readAgents],
  [0.5, registry.deleteAgent],
  [4, registry.stats],
];
const TOTAL = MENU.reduce((sum, [weight]) => sum + weight, 0);

it(`answers ${OPERATIONS} random operations of two organizations as a plain model does`, {
  timeout: TIMEOUT_MS,
}, async () => {
  const seed = Number(process.env['MODEL_SEED'] ?? freshSeed());
  console.log(`model test, seed ${seed}`);
  const world = await World.open(seed);
  try {
    while (world.operations < OPERATIONS) await step(world);
  } catch (error) {
    if (!(error instanceof Difference)) throw error;
    expect.fail(`seed ${seed}: ${error.message}\n${world.tail()}`);
  } finally {
    await world.close();
  }
});

async function step(world: World): Promise<void> {
  await world.awaitExpiries();
  if (world.random.chance(1 / RESTART_EVERY)) {
    const how = world.random.pick(['SIGTERM', 'SIGKILL'] as const);
    world.note(`restart after ${how}`);
    await world.restart(how);
  }
  await choose(world.random)(world, world.anyOrg());
}

function choose(random: Random): Operation {
  let at = random.next() * TOTAL;
  for (const [weight, operation] of MENU) {
    at -= weight;
    if (at < 0) return operation;
  }
  return writes.writeOne;
}
