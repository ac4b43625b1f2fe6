import { Mutex } from '../base/mutex.js';
import { parseJson } from './body.js';

/** Up to here a body is parsed where it arrives: well under a millisecond. */
const LARGE_BYTES = 32 * 1024;

/** Large bodies are parsed one at a time, with the event loop let go between them. */
const lane = new Mutex();

/** The JSON value of a body. Rejects with `invalid_json`. */
export function parseInTurn(body: Buffer): unknown {
  if (body.length <= LARGE_BYTES) return parseJson(body);
  return lane.run(async () => {
    await new Promise(setImmediate);
    return parseJson(body);
  });
}
