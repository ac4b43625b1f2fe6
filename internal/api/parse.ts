import { turns } from '../base/turns.js';
import { parseJson } from './body.js';

/** Up to here a body is parsed where it arrives: well under a millisecond. */
const LARGE_BYTES = 32 * 1024;

/** The JSON value of a body; large ones one a turn. Rejects with `invalid_json`. */
export function parseInTurn(body: Buffer): unknown {
  if (body.length <= LARGE_BYTES) return parseJson(body);
  return turns.next().then(() => parseJson(body));
}
