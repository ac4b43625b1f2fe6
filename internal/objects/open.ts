import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { quietS3Client } from '../config/env.js';
import { Fault } from '../fault/fault.js';
import { LocalObjects, writeAll } from './local.js';
import type { Objects } from './objects.js';
import type { S3Settings } from './s3.js';

const S3_URL = /^s3:\/\/([A-Za-z0-9][A-Za-z0-9.-]{1,254})(?:\/(.*))?$/;

/**
 * Opens the place that an operator named: a directory or `s3://bucket/prefix`. The client of S3 is
 * loaded only for the latter. Rejects with `invalid_field`.
 *
 * @param make makes the directory if it is absent; else that rejects with `not_found`
 */
export async function openObjects(
  place: string,
  settings: S3Settings,
  make = true,
): Promise<Objects> {
  if (!/^[a-z0-9+.-]+:\/\//i.test(place)) {
    if (place === '') throw new Fault('invalid_field', 'the place is empty: a directory or s3://…');
    if (!make && !existsSync(place)) throw new Fault('not_found', `there is no ${resolve(place)}`);
    return LocalObjects.open(resolve(place));
  }
  const [, bucket, prefix = ''] = S3_URL.exec(place) ?? [];
  if (bucket === undefined || !isPrefix(prefix)) {
    throw new Fault('invalid_field', `not a directory or a URL like s3://bucket/prefix: ${place}`);
  }
  if ((settings.accessKey === '') !== (settings.secretKey === '')) {
    throw new Fault('invalid_field', '[backup] s3_access_key and s3_secret_key belong together');
  }
  quietS3Client();
  const { S3Objects } = await import('./s3.js');
  return new S3Objects(bucket, prefix, settings);
}

function isPrefix(prefix: string): boolean {
  return prefix === '' || /^[A-Za-z0-9_.-]+(\/[A-Za-z0-9_.-]+)*\/?$/.test(prefix);
}

/** The settings of S3 as the option table has them. */
export function s3SettingsOf(backup: {
  s3Endpoint: string;
  s3Region: string;
  s3PathStyle: boolean;
  s3AccessKey: string;
  s3SecretKey: string;
}): S3Settings {
  return {
    endpoint: backup.s3Endpoint,
    region: backup.s3Region,
    pathStyle: backup.s3PathStyle,
    accessKey: backup.s3AccessKey,
    secretKey: backup.s3SecretKey,
  };
}

/** What an object holds, read to its end. Rejects as `read`. */
export async function measure(
  objects: Objects,
  key: string,
): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of objects.read(key)) {
    hash.update(piece);
    bytes += piece.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** Writes an object into a new file, synced; answers what was read. Rejects as `read`. */
export async function download(
  objects: Objects,
  key: string,
  path: string,
): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const piece of objects.read(key)) {
      hash.update(piece);
      bytes += piece.length;
      await writeAll(file, piece);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { bytes, sha256: hash.digest('hex') };
}
