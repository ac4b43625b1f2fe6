import { parentPort, workerData } from 'node:worker_threads';
import { known } from '../base/assert.js';
import { lowerPriority } from '../base/priority.js';
import { codeOf } from '../objects/local.js';
import { DamagedSource } from '../objects/objects.js';
import { openObjects } from '../objects/open.js';
import { DirectMover, type MoveAnswer, type MoveRequest, type MoverInput } from './mover.js';

/** The thread of a ThreadMover: moves, several at a time, with what they ask for. */
const port = known(parentPort, 'parent of the mover');
const { place, settings } = workerData as MoverInput;

async function answer({ ticket, move, args }: MoveRequest): Promise<MoveAnswer> {
  try {
    const [first, second = '', third = ''] = args;
    const mover = new DirectMover(await opening);
    const moves = {
      hash: () => mover.hash(first),
      copy: () => mover.copy(first, second, third),
      check: () => mover.check(first),
      fetch: () => mover.fetch(first, second),
    };
    return { ticket, value: await moves[move]() };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const damaged = error instanceof DamagedSource;
    return { ticket, message, code: codeOf(error) ?? '', damaged };
  }
}

lowerPriority();
const opening = openObjects(place, settings);
opening.catch(() => undefined);
port.on('message', async (request: MoveRequest) => {
  port.postMessage(await answer(request));
});
