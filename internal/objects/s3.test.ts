import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NO_S3, S3_PROGRAM, type S3Server, startS3 } from '../../test/support/s3-server.js';
import { keysOf, objectsContract } from './objects.suite.js';
import { openObjects } from './open.js';

describe.skipIf(S3_PROGRAM === null)(`S3 (${S3_PROGRAM ?? NO_S3})`, () => {
  let server: S3Server;
  let places = 0;
  beforeAll(async () => {
    server = await startS3();
  });
  afterAll(() => server.stop());

  const open = (prefix: string) => openObjects(`s3://${server.bucket}/${prefix}`, server.settings);

  objectsContract('a bucket', () => {
    places += 1;
    return open(`place-${places}/memtrace`);
  });

  test('a prefix with and without a slash at its end is one place', async () => {
    await (await open('slash/')).put('a/b', Buffer.from('x'));
    expect(await keysOf(await open('slash'), 'a')).toEqual(['a/b']);
    expect(await keysOf(await open('slas'), 'h/a')).toEqual([]);
    expect(await keysOf(await open(''), 'slash')).toEqual(['slash/a/b']);
  });

  test('lists more than one page', async () => {
    const objects = await open('many');
    const keys = Array.from({ length: 1_005 }, (_, i) => `m/${String(i).padStart(5, '0')}`);
    for (let at = 0; at < keys.length; at += 50) {
      const some = keys.slice(at, at + 50);
      await Promise.all(some.map((key) => objects.put(key, Buffer.from(key))));
    }
    expect(await keysOf(objects, 'm')).toEqual(keys);
  });

  test('a wrong secret and an absent bucket are told, without what was secret', async () => {
    const wrong = { ...server.settings, secretKey: 'wrong-secret' };
    const refused = await openObjects(`s3://${server.bucket}/x`, wrong);
    const error = await refused.put('a/b', Buffer.from('x')).catch((reason: Error) => reason);
    expect(String(error)).toMatch(/cannot look up a\/b in S3: .*403/);
    expect(String(error)).not.toContain('wrong-secret');
    const absent = await openObjects('s3://no-such-bucket', server.settings);
    await expect(absent.get('a/b')).rejects.toMatchObject({ code: 'ES3' });
    const listing = keysOf(absent, 'a');
    await expect(listing).rejects.toThrow(/NoSuchBucket/);
    expect(await readdir(server.folder)).not.toContain('no-such-bucket');
  });
});
