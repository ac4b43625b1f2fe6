import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, rm, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { assert } from '../base/assert.js';
import { Mutex } from '../base/mutex.js';
import { isKey } from './key.js';
import { hashOf, PIECE_BYTES } from './local.js';
import { DamagedSource, type ObjectInfo, type Objects } from './objects.js';

/** Where the bucket is and who asks; '' = what the SDK finds in the environment. */
export interface S3Settings {
  endpoint: string;
  region: string;
  pathStyle: boolean;
  accessKey: string;
  secretKey: string;
}

/** Larger files go in parts; a part is held in memory, so that a failed one can be sent again. */
const PART_BYTES = 8 * 1024 * 1024;
const PARTS_AT_ONCE = 2;
const ATTEMPTS = 5;

/**
 * Objects in a bucket of S3 or of a server that speaks like it. An object is there whole or not at
 * all. That a put changes nothing that exists is looked up first: sure within one process; between
 * processes keys must be generated or made of the content (not every server has conditional puts).
 */
export class S3Objects implements Objects {
  private readonly client: S3Client;
  private readonly bucket: string;
  /** '' or a prefix that ends with a slash. */
  private readonly prefix: string;
  private readonly putting = new Map<string, Mutex>();

  constructor(bucket: string, prefix: string, settings: S3Settings) {
    this.client = new S3Client(clientConfig(settings));
    this.bucket = bucket;
    this.prefix = prefix === '' ? '' : `${prefix.replace(/\/+$/, '')}/`;
  }

  put(key: string, bytes: Uint8Array): Promise<boolean> {
    return this.ifAbsent(key, () => this.send(key, bytes));
  }

  putFile(key: string, path: string): Promise<boolean> {
    return this.ifAbsent(key, async () => {
      await this.sendFile(key, path, await hashOf(path));
      await rm(path);
    });
  }

  copyFile(key: string, path: string, sha256: string): Promise<boolean> {
    return this.ifAbsent(key, () => this.sendFile(key, path, sha256));
  }

  async get(key: string): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for await (const piece of this.read(key)) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  async *read(key: string): AsyncIterable<Uint8Array> {
    let done = 0;
    for (let attempt = 1; ; attempt++) {
      const { Body } = await this.client
        .send(new GetObjectCommand({ ...this.at(key), ...rangeFrom(done) }))
        .catch((error: unknown) => raise(key, 'read', error));
      assert(Body instanceof Readable, 'a body of S3 is a stream');
      try {
        for await (const piece of Body as AsyncIterable<Uint8Array>) {
          done += piece.length;
          yield piece;
        }
        return;
      } catch (error) {
        // The SDK repeats requests, not the reading of their bodies.
        if (attempt === ATTEMPTS) raise(key, 'read', error);
      }
    }
  }

  async stat(key: string): Promise<ObjectInfo | null> {
    try {
      const found = await this.client.send(new HeadObjectCommand(this.at(key)));
      const modifiedMs = found.LastModified?.getTime() ?? 0;
      return { key, bytes: found.ContentLength ?? 0, modifiedMs };
    } catch (error) {
      if (isAbsent(error)) return null;
      return raise(key, 'look up', error);
    }
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    assert(isKey(prefix), `not an object key: ${prefix}`);
    let ContinuationToken: string | undefined;
    do {
      const page = await this.client
        .send(
          new ListObjectsV2Command({
            Bucket: this.bucket,
            Prefix: `${this.prefix}${prefix}/`,
            ...(ContinuationToken === undefined ? {} : { ContinuationToken }),
          }),
        )
        .catch((error: unknown) => raise(`${prefix}/`, 'list', error));
      for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
        const key = Key.slice(this.prefix.length);
        // A "folder" that some console made, or a foreign object.
        if (isKey(key)) yield { key, bytes: Size, modifiedMs: LastModified?.getTime() ?? 0 };
      }
      ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (ContinuationToken !== undefined);
  }

  async delete(key: string): Promise<boolean> {
    if ((await this.stat(key)) === null) return false;
    await this.client
      .send(new DeleteObjectCommand(this.at(key)))
      .catch((error: unknown) => raise(key, 'delete', error));
    return true;
  }

  private at(key: string): { Bucket: string; Key: string } {
    assert(isKey(key), `not an object key: ${key}`);
    return { Bucket: this.bucket, Key: this.prefix + key };
  }

  /** One put of a key at a time, and only if the key is free. */
  private async ifAbsent(key: string, write: () => Promise<void>): Promise<boolean> {
    assert(isKey(key), `not an object key: ${key}`);
    const mutex = this.putting.get(key) ?? new Mutex();
    this.putting.set(key, mutex);
    try {
      return await mutex.run(async () => {
        if ((await this.stat(key)) !== null) return false;
        await write();
        return true;
      });
    } finally {
      if (this.putting.get(key) === mutex && !mutex.busy) this.putting.delete(key);
    }
  }

  private async send(key: string, bytes: Uint8Array): Promise<void> {
    await this.client
      .send(new PutObjectCommand({ ...this.at(key), Body: bytes, ContentLength: bytes.length }))
      .catch((error: unknown) => raise(key, 'write', error));
  }

  private async sendFile(key: string, path: string, sha256: string): Promise<void> {
    const { size } = await stat(path);
    if (size > PART_BYTES) return this.sendParts(key, path, sha256);
    const bytes = await readFile(path);
    refuseDamage(path, createHash('sha256').update(bytes).digest('hex'), sha256);
    await this.send(key, bytes);
  }

  /** An upload that fails, or whose bytes are not what they should be, leaves nothing behind. */
  private async sendParts(key: string, path: string, sha256: string): Promise<void> {
    const upload = new Upload({
      client: this.client,
      params: { ...this.at(key), Body: Readable.from(checked(path, sha256)) },
      partSize: PART_BYTES,
      queueSize: PARTS_AT_ONCE,
      leavePartsOnError: false,
    });
    await upload.done().catch((error: unknown) => raise(key, 'write', error));
  }
}

/** Objects are immutable, so that a broken download goes on where it broke. */
function rangeFrom(offset: number): { Range?: string } {
  return offset === 0 ? {} : { Range: `bytes=${offset}-` };
}

/** The bytes of a file; rejects at their end if they are not what they should be. */
async function* checked(path: string, sha256: string): AsyncIterable<Buffer> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path, { highWaterMark: PIECE_BYTES })) {
    hash.update(piece);
    yield piece;
  }
  refuseDamage(path, hash.digest('hex'), sha256);
}

function refuseDamage(path: string, found: string, sha256: string): void {
  if (found === sha256) return;
  throw new DamagedSource(`${path} has checksum ${found}, not ${sha256}`);
}

function clientConfig(settings: S3Settings): S3ClientConfig {
  const { endpoint, region, pathStyle, accessKey, secretKey } = settings;
  return {
    ...(endpoint === '' ? {} : { endpoint }),
    // Without an own one, AWS_REGION or the profile says it; servers other than AWS take any.
    ...(region !== '' ? { region } : endpoint !== '' ? { region: 'us-east-1' } : {}),
    ...(accessKey === ''
      ? {}
      : { credentials: { accessKeyId: accessKey, secretAccessKey: secretKey } }),
    forcePathStyle: pathStyle,
    maxAttempts: ATTEMPTS,
    // OBS and others reject the newer chunked form; every object here has its own SHA-256.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: 10_000, requestTimeout: 120_000 },
    customUserAgent: 'memtrace',
  };
}

interface ServiceError {
  name?: string;
  $metadata?: { httpStatusCode?: number };
}

function isAbsent(error: unknown): boolean {
  const { name, $metadata } = error as ServiceError;
  // A bucket that is not there is no missing object.
  if (name === 'NoSuchBucket') return false;
  return name === 'NoSuchKey' || name === 'NotFound' || $metadata?.httpStatusCode === 404;
}

/** An error that says what was tried, without what was signed. */
function raise(key: string, doing: string, error: unknown): never {
  if (error instanceof DamagedSource) throw error;
  const { name, $metadata } = error as ServiceError;
  const status = $metadata?.httpStatusCode;
  const reason = error instanceof Error ? error.message : String(error);
  const code = isAbsent(error) ? 'ENOENT' : 'ES3';
  const detail = [name, status].filter((each) => each !== undefined).join(' ');
  throw Object.assign(new Error(`cannot ${doing} ${key} in S3: ${reason} (${detail})`), { code });
}
