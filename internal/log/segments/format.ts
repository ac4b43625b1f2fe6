import { crc32 } from 'node:zlib';
import { assert } from '../../base/assert.js';
import type { Payload } from '../log.js';

/**
 * The bytes of a segment file; ../FORMAT.md is the specification, golden.test.ts holds both to it.
 * All integers are little-endian. Pure functions over buffers, no I/O.
 */
export const FORMAT_VERSION = 1;

/** Bytes of the header that starts every segment. */
export const SEGMENT_HEADER = 80;
/** Bytes of the header that starts every record. */
export const RECORD_HEADER = 28;
/** Bytes of the largest payload; a larger length in a header is damage. */
export const MAX_PAYLOAD = 256 * 1024 * 1024;

/** 0xFF never occurs in UTF-8, so no payload can look like the start of a record or a segment. */
export const RECORD_MAGIC = Buffer.from([0xff, 0x4d, 0x54, 0x52]);
const RECORD_MAGIC_U32 = RECORD_MAGIC.readUInt32LE(0);
const SEGMENT_MAGIC = Buffer.from([0xff, 0x4d, 0x54, 0x57, 0x41, 0x4c, 0x0d, 0x0a]);

const LENGTH_AT = 4;
const SEQUENCE_AT = 8;
const KIND_AT = 16;
const HEADER_CRC_AT = 20;
const RECORD_CRC_AT = 24;
const KIND_TEXT = 1;

const STREAM_AT = 32;
const STREAM_BYTES = 32;
const EPOCH_AT = 64;
const SEGMENT_CRC_AT = 76;

const TWO_32 = 2 ** 32;

/** What the first 80 bytes of a segment say. */
export interface SegmentHeader {
  version: number;
  /** Position of the first record that the segment may hold. */
  first: number;
  createdUs: number;
  /** `w_` and a ULID: the writer. */
  writer: string;
  epoch: number;
}

/** What the 28 bytes before a payload say, once its CRC has been checked. */
export interface RecordHeader {
  length: number;
  sequence: number;
  headerCrc: number;
  recordCrc: number;
}

/** The name of the segment whose first position is `first`: 20 digits, so that names sort. */
export function segmentName(first: number): string {
  return `${String(first).padStart(20, '0')}.wal`;
}

/** The first position in a segment's name, or null if `name` is not one of ours. */
export function parseSegmentName(name: string): number | null {
  const digits = /^(\d{20})\.wal$/.exec(name)?.[1];
  const first = digits === undefined ? Number.NaN : Number(digits);
  return Number.isSafeInteger(first) && first >= 1 ? first : null;
}

/** The 80 bytes that start a segment. */
export function encodeSegmentHeader(header: Omit<SegmentHeader, 'version'>): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEADER);
  assert(header.writer.length <= STREAM_BYTES, `writer name too long: ${header.writer}`);
  SEGMENT_MAGIC.copy(bytes, 0);
  bytes.writeUInt16LE(FORMAT_VERSION, 8);
  bytes.writeUInt16LE(SEGMENT_HEADER, 10);
  writeU64(bytes, header.first, 16);
  writeU64(bytes, header.createdUs, 24);
  bytes.write(header.writer, STREAM_AT, 'latin1');
  bytes.writeUInt32LE(header.epoch, EPOCH_AT);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, SEGMENT_CRC_AT)), SEGMENT_CRC_AT);
  return bytes;
}

/** The header in the first 80 of `bytes`, or null if they are not one or are damaged. */
export function decodeSegmentHeader(bytes: Buffer): SegmentHeader | null {
  if (bytes.length < SEGMENT_HEADER || !bytes.subarray(0, 8).equals(SEGMENT_MAGIC)) return null;
  const crc = crc32(bytes.subarray(0, SEGMENT_CRC_AT));
  if (bytes.readUInt32LE(SEGMENT_CRC_AT) !== crc) return null;
  const writer = bytes.toString('latin1', STREAM_AT, STREAM_AT + STREAM_BYTES);
  return {
    version: bytes.readUInt16LE(8),
    first: readU64(bytes, 16),
    createdUs: readU64(bytes, 24),
    writer: writer.replace(/\0+$/, ''),
    epoch: bytes.readUInt32LE(EPOCH_AT),
  };
}

/**
 * Stages one record at `at`: the length and the payload; sealGroup fills in the rest.
 * The caller has made room for the header and for 3 bytes a UTF-16 unit, or for the exact length.
 *
 * @returns the bytes used, header included
 */
export function stageRecord(bytes: Buffer, at: number, payload: Payload): number {
  const start = at + RECORD_HEADER;
  const length =
    typeof payload === 'string' ? bytes.write(payload, start) : payload.copy(bytes, start);
  bytes.writeUInt32LE(length, at + LENGTH_AT);
  return RECORD_HEADER + length;
}

/**
 * Completes the headers of staged records that lie back to back in `bytes`, numbering from `first`.
 * Two CRCs a record: one over the header, so that its length can be believed before the payload
 * is read, and one that goes on from it over the payload, which binds the two.
 *
 * @returns the number of records
 */
export function sealGroup(bytes: Buffer, first: number): number {
  let at = 0;
  let sequence = first;
  while (at < bytes.length) {
    const payloadAt = at + RECORD_HEADER;
    const end = payloadAt + bytes.readUInt32LE(at + LENGTH_AT);
    assert(end <= bytes.length, `staged record ${sequence} ends after its group`);
    bytes.writeUInt32LE(RECORD_MAGIC_U32, at);
    writeU64(bytes, sequence, at + SEQUENCE_AT);
    bytes.writeUInt32LE(KIND_TEXT, at + KIND_AT);
    const headerCrc = crc32(bytes.subarray(at, at + HEADER_CRC_AT));
    bytes.writeUInt32LE(headerCrc, at + HEADER_CRC_AT);
    bytes.writeUInt32LE(crc32(bytes.subarray(payloadAt, end), headerCrc), at + RECORD_CRC_AT);
    at = end;
    sequence += 1;
  }
  return sequence - first;
}

/**
 * The record header in `bytes`, or null if they are not one, are damaged, or of an unknown kind.
 */
export function decodeRecordHeader(bytes: Buffer): RecordHeader | null {
  if (bytes.readUInt32LE(0) !== RECORD_MAGIC_U32) return null;
  const headerCrc = crc32(bytes.subarray(0, HEADER_CRC_AT));
  if (bytes.readUInt32LE(HEADER_CRC_AT) !== headerCrc) return null;
  const length = bytes.readUInt32LE(LENGTH_AT);
  if (length > MAX_PAYLOAD || bytes.readUInt32LE(KIND_AT) !== KIND_TEXT) return null;
  const recordCrc = bytes.readUInt32LE(RECORD_CRC_AT);
  return { length, sequence: readU64(bytes, SEQUENCE_AT), headerCrc, recordCrc };
}

/** Whether `payload` is the one that the header was written for. */
export function payloadMatches(header: RecordHeader, payload: Buffer): boolean {
  return crc32(payload, header.headerCrc) === header.recordCrc;
}

/** Two halves, as a BigInt a record would cost more than both CRCs; exact below 2^53. */
function writeU64(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32LE(value % TWO_32, at);
  bytes.writeUInt32LE(Math.floor(value / TWO_32), at + 4);
}

function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * TWO_32;
}
