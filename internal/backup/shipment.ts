import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { LogRecord } from '../log/log.js';

/**
 * Records of the log as one object of the target:
 *
 *   <SHA-256 of all that follows the first line feed, hex> LF
 *   <JSON: stream, incarnation, from, to, records> LF
 *   <gzip of: position (8 bytes, little-endian), length (4 bytes), payload; again and again>
 *
 * Positions between `from` and `to` that are not in it were damaged or lost.
 */
export interface ShipmentHead {
  stream: string;
  incarnation: string;
  from: number;
  to: number;
  records: number;
}

/** An object that is not what was sent. */
export class BadShipment extends Error {
  override name = 'BadShipment';
}

const zip = promisify(gzip);
const unzip = promisify(gunzip);
const FRAME_HEAD = 12;
const HASH_CHARS = 64;
const LINE_FEED = 10;
/** Fast: text of events shrinks to a fifth with it. */
const LEVEL = 1;

export const LOG = 'log';

/** The folder of one incarnation's records. */
export function shipmentFolder(stream: string, incarnation: string): string {
  return `${LOG}/${stream}/${incarnation}`;
}

export function shipmentKey({ stream, incarnation, from, to }: ShipmentHead): string {
  const digits = (position: number) => String(position).padStart(20, '0');
  return `${shipmentFolder(stream, incarnation)}/${digits(from)}-${digits(to)}`;
}

/** What a key says; null if it is none of a shipment. */
export function parseShipmentKey(key: string): Omit<ShipmentHead, 'records'> | null {
  const match = /^log\/([^/]+)\/([^/]+)\/(\d{20})-(\d{20})$/.exec(key);
  const [, stream, incarnation, from, to] = match ?? [];
  if (stream === undefined || incarnation === undefined) return null;
  return { stream, incarnation, from: Number(from), to: Number(to) };
}

/** One record as a shipment holds it. */
export function frameOf({ position, payload }: LogRecord): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEAD + Buffer.byteLength(payload));
  bytes.writeBigUInt64LE(BigInt(position), 0);
  bytes.writeUInt32LE(bytes.write(payload, FRAME_HEAD), 8);
  return bytes;
}

/** @param frames as frameOf makes them */
export async function encodeShipment(head: ShipmentHead, frames: Buffer[]): Promise<Buffer> {
  const body = await zip(Buffer.concat(frames), { level: LEVEL });
  const rest = [Buffer.from(`${JSON.stringify(head)}\n`), body];
  return Buffer.concat([Buffer.from(`${hashOf(rest)}\n`), ...rest]);
}

/** Rejects with BadShipment if one bit is not as it was sent. */
export async function decodeShipment(
  bytes: Uint8Array,
): Promise<{ head: ShipmentHead; records: LogRecord[] }> {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rest = all.subarray(HASH_CHARS + 1);
  if (all.toString('latin1', 0, HASH_CHARS + 1) !== `${hashOf([rest])}\n`) {
    throw new BadShipment('its checksum is wrong');
  }
  const headEnd = rest.indexOf(LINE_FEED);
  const head = JSON.parse(rest.toString('utf8', 0, headEnd)) as ShipmentHead;
  const records = [...framesIn(await unzip(rest.subarray(headEnd + 1)))];
  if (records.length !== head.records) throw new BadShipment('it lacks records');
  return { head, records };
}

function* framesIn(body: Buffer): Generator<LogRecord> {
  for (let at = 0; at < body.length; ) {
    const start = at + FRAME_HEAD;
    const end = start + body.readUInt32LE(at + 8);
    const position = Number(body.readBigUInt64LE(at));
    yield { position, payload: body.toString('utf8', start, end) };
    at = end;
  }
}

function hashOf(parts: readonly Buffer[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}
