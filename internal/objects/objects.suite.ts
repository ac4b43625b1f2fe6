import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AssertionError } from '../base/assert.js';
import { DamagedSource, type ObjectInfo, type Objects } from './objects.js';
import { download } from './open.js';

const bytes = (text: string) => new TextEncoder().encode(text);
const sha256 = (data: string | Uint8Array) => createHash('sha256').update(data).digest('hex');

/** The keys below a folder, sorted. */
export async function keysOf(objects: Objects, prefix: string): Promise<string[]> {
  const found: ObjectInfo[] = [];
  for await (const info of objects.list(prefix)) found.push(info);
  return found.map((info) => info.key).sort();
}

/** What every kind of objects owes (objects.ts); each `open` gives an empty place. */
export function objectsContract(name: string, open: (folder: string) => Promise<Objects>): void {
  describe(`objects contract: ${name}`, () => {
    let folder: string;
    let objects: Objects;
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'objects-'));
      objects = await open(folder);
    });
    afterEach(() => rm(folder, { recursive: true }));
    puts(() => objects);
    files(() => ({ objects, folder }));
    reads(() => ({ objects, folder }));
  });
}

function puts(at: () => Objects): void {
  const text = async (key: string) => new TextDecoder().decode(await at().get(key));

  test('what was put comes back, and a second put changes nothing', async () => {
    expect(await at().put('events/2026-11-21/a.parquet', bytes('one'))).toBe(true);
    expect(await at().put('events/2026-11-21/a.parquet', bytes('two'))).toBe(false);
    expect(await text('events/2026-11-21/a.parquet')).toBe('one');
    expect(await keysOf(at(), 'events')).toEqual(['events/2026-11-21/a.parquet']);
  });

  test('of concurrent puts of one key exactly one wins, whole', async () => {
    const texts = Array.from({ length: 8 }, (_, i) => `text ${i}`);
    const won = await Promise.all(texts.map((each) => at().put('a/b', bytes(each))));
    expect(won.filter(Boolean)).toHaveLength(1);
    expect(await text('a/b')).toBe(texts[won.indexOf(true)]);
  });

  test('a key never leads out of the root', async () => {
    const keys = ['../a', 'a/../../b', '/etc/passwd', '', 'a//b', 'a/./b', '.a', 'a\\b', 'a\0'];
    for (const key of keys) {
      const put = async () => at().put(key, bytes('x'));
      await expect(put()).rejects.toBeInstanceOf(AssertionError);
      await expect(at().get(key)).rejects.toBeInstanceOf(AssertionError);
    }
  });
}

function files(at: () => { objects: Objects; folder: string }): void {
  test('a finished file is moved in, or left where it is if the key is taken', async () => {
    const { objects, folder } = at();
    const path = join(folder, 'finished');
    await writeFile(path, 'one');
    expect(await objects.putFile('x/y', path)).toBe(true);
    expect(await readdir(folder)).not.toContain('finished');
    await writeFile(path, 'two');
    expect(await objects.putFile('x/y', path)).toBe(false);
    expect(Buffer.from(await objects.get('x/y')).toString()).toBe('one');
    expect(await readdir(folder)).toContain('finished');
  });

  test('a file that stays is copied once', async () => {
    const { objects, folder } = at();
    const path = join(folder, 'kept');
    await writeFile(path, 'one');
    expect(await objects.copyFile('x/y', path, sha256('one'))).toBe(true);
    expect(await objects.copyFile('x/y', path, sha256('one'))).toBe(false);
    expect(Buffer.from(await objects.get('x/y')).toString()).toBe('one');
    expect(await readFile(path, 'utf8')).toBe('one');
  });

  test('a file of many parts arrives whole', async () => {
    const { objects, folder } = at();
    const data = randomBytes(20 * 1024 * 1024 + 7);
    const path = join(folder, 'large');
    await writeFile(path, data);
    expect(await objects.copyFile('x/large', path, sha256(data))).toBe(true);
    const target = join(folder, 'back');
    const read = await download(objects, 'x/large', target);
    expect(read).toEqual({ bytes: data.length, sha256: sha256(data) });
    expect(data.equals(await readFile(target))).toBe(true);
  });

  test('a damaged file is not copied, small or large', async () => {
    const { objects, folder } = at();
    for (const size of [10, 9 * 1024 * 1024]) {
      const data = Buffer.alloc(size, 1);
      const path = join(folder, `file-${size}`);
      await writeFile(path, data);
      data[size - 1] ^= 1;
      const copy = objects.copyFile(`x/${size}`, path, sha256(data));
      await expect(copy).rejects.toBeInstanceOf(DamagedSource);
      expect(await objects.stat(`x/${size}`)).toBeNull();
    }
    expect(await keysOf(objects, 'x')).toEqual([]);
  });
}

function reads(at: () => { objects: Objects; folder: string }): void {
  test('lists the objects of a folder and none of an absent one', async () => {
    const { objects } = at();
    for (const key of ['e/2/b', 'e/1/a', 'e/2/a', 'ef/a', 'f/a']) {
      await objects.put(key, bytes(key));
    }
    expect(await keysOf(objects, 'e')).toEqual(['e/1/a', 'e/2/a', 'e/2/b']);
    expect(await keysOf(objects, 'nothing')).toEqual([]);
  });

  test('says size and age of an object', async () => {
    const { objects } = at();
    const before = Date.now();
    await objects.put('a/b', bytes('four'));
    const info = await objects.stat('a/b');
    expect(info).toMatchObject({ key: 'a/b', bytes: 4 });
    // Some stores count in whole seconds.
    expect(info?.modifiedMs).toBeGreaterThan(before - 2_000);
    expect(info?.modifiedMs).toBeLessThan(Date.now() + 2_000);
    expect(await objects.stat('a')).toBeNull();
    expect(await objects.stat('a/c')).toBeNull();
  });

  test('an absent object is an error to get and false to delete', async () => {
    const { objects, folder } = at();
    await expect(objects.get('a/b')).rejects.toMatchObject({ code: 'ENOENT' });
    const absent = download(objects, 'a/b', join(folder, 'b'));
    await expect(absent).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await objects.delete('a/b')).toBe(false);
    await objects.put('a/b', bytes(''));
    expect((await objects.get('a/b')).length).toBe(0);
    expect(await objects.delete('a/b')).toBe(true);
    await expect(objects.get('a/b')).rejects.toMatchObject({ code: 'ENOENT' });
  });
}
