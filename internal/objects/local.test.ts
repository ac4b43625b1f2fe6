import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AssertionError } from '../base/assert.js';
import { LocalObjects } from './local.js';
import type { ObjectInfo } from './objects.js';

let root: string;
let objects: LocalObjects;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'objects-'));
  objects = await LocalObjects.open(join(root, 'data'));
});
afterEach(() => rm(root, { recursive: true }));

const bytes = (text: string) => new TextEncoder().encode(text);
const text = async (key: string) => new TextDecoder().decode(await objects.get(key));

async function keys(prefix: string): Promise<string[]> {
  const found: ObjectInfo[] = [];
  for await (const info of objects.list(prefix)) found.push(info);
  return found.map((info) => info.key);
}

test('what was put comes back, and a second put changes nothing', async () => {
  expect(await objects.put('events/2026-11-21/a.parquet', bytes('one'))).toBe(true);
  expect(await objects.put('events/2026-11-21/a.parquet', bytes('two'))).toBe(false);
  expect(await text('events/2026-11-21/a.parquet')).toBe('one');
  expect(await readdir(join(root, 'data/events/2026-11-21'))).toEqual(['a.parquet']);
});

test('of concurrent puts of one key exactly one wins, whole', async () => {
  const texts = Array.from({ length: 8 }, (_, i) => `text ${i}`);
  const won = await Promise.all(texts.map((each) => objects.put('a/b', bytes(each))));
  expect(won.filter(Boolean)).toHaveLength(1);
  expect(await text('a/b')).toBe(texts[won.indexOf(true)]);
});

test('a finished file is moved in, or left where it is if the key is taken', async () => {
  const path = join(root, 'data', 'finished');
  await writeFile(path, 'one');
  expect(await objects.putFile('x/y', path)).toBe(true);
  expect(await text('x/y')).toBe('one');
  await writeFile(path, 'two');
  expect(await objects.putFile('x/y', path)).toBe(false);
  expect(await text('x/y')).toBe('one');
  expect(await readdir(join(root, 'data'))).toContain('finished');
});

test('lists the objects of a folder and none of an absent one', async () => {
  for (const key of ['e/2/b', 'e/1/a', 'e/2/a', 'f/a']) await objects.put(key, bytes(key));
  await writeFile(join(root, 'data/e/.hidden'), '');
  expect(await keys('e')).toEqual(['e/1/a', 'e/2/a', 'e/2/b']);
  expect(await keys('nothing')).toEqual([]);
});

test('an absent object is an error to get and false to delete', async () => {
  await expect(objects.get('a/b')).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await objects.delete('a/b')).toBe(false);
  await objects.put('a/b', bytes(''));
  expect(await objects.delete('a/b')).toBe(true);
  await expect(objects.get('a/b')).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a key never leads out of the root', async () => {
  for (const key of [
    '../a',
    'a/../../b',
    '/etc/passwd',
    '',
    'a//b',
    'a/./b',
    '.a',
    'a\\b',
    'a\0',
  ]) {
    await expect(objects.put(key, bytes('x'))).rejects.toBeInstanceOf(AssertionError);
    await expect(objects.get(key)).rejects.toBeInstanceOf(AssertionError);
  }
  await mkdir(join(root, 'outside'));
  await symlink(join(root, 'outside'), join(root, 'data/link'));
  await expect(objects.put('link/a', bytes('x'))).rejects.toBeInstanceOf(AssertionError);
  expect(await readdir(join(root, 'outside'))).toEqual([]);
});
