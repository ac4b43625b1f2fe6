import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AssertionError } from '../base/assert.js';
import { LocalObjects } from './local.js';
import { keysOf, objectsContract } from './objects.suite.js';
import { openObjects } from './open.js';

objectsContract('a local directory', (folder) => LocalObjects.open(join(folder, 'data')));

let root: string;
let objects: LocalObjects;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'objects-'));
  objects = await LocalObjects.open(join(root, 'data'));
});
afterEach(() => rm(root, { recursive: true }));

const bytes = (text: string) => new TextEncoder().encode(text);

test('what has a dot in front is no object', async () => {
  await objects.put('e/a', bytes('a'));
  await writeFile(join(root, 'data/e/.hidden'), '');
  expect(await keysOf(objects, 'e')).toEqual(['e/a']);
  expect((await readdir(join(root, 'data/e'))).sort()).toEqual(['.hidden', 'a']);
});

test('a directory that leads out of the root is refused', async () => {
  await mkdir(join(root, 'outside'));
  await symlink(join(root, 'outside'), join(root, 'data/link'));
  await expect(objects.put('link/a', bytes('x'))).rejects.toBeInstanceOf(AssertionError);
  expect(await readdir(join(root, 'outside'))).toEqual([]);
});

test('a copy on the same file system is a hard link and takes no space', async () => {
  const path = join(root, 'kept');
  await writeFile(path, 'one');
  const sha256 = createHash('sha256').update('one').digest('hex');
  await objects.copyFile('x/y', path, sha256);
  expect((await stat(objects.path('x/y'))).ino).toBe((await stat(path)).ino);
  expect(await readdir(join(root, 'data/x'))).toEqual(['y']);
});

test('a copy onto another file system is a file of its own', async () => {
  const other = await mkdtemp('/dev/shm/objects-');
  try {
    const far = await LocalObjects.open(other);
    const path = join(root, 'kept');
    await writeFile(path, 'one');
    const sha256 = createHash('sha256').update('one').digest('hex');
    expect(await far.copyFile('x/y', path, sha256)).toBe(true);
    expect(Buffer.from(await far.get('x/y')).toString()).toBe('one');
    expect(await readdir(join(other, 'x'))).toEqual(['y']);
  } finally {
    await rm(other, { recursive: true });
  }
});

test('a place is a directory or a URL of S3', async () => {
  const keys = { accessKey: '', secretKey: '' };
  const settings = { endpoint: '', region: '', pathStyle: false, ...keys };
  expect(await openObjects(join(root, 'new'), settings)).toBeInstanceOf(LocalObjects);
  for (const place of ['', 'http://bucket/a', 's3://', 's3://b/../a', 's3://b//a', 'gs://b']) {
    const opened = openObjects(place, settings);
    await expect(opened, place).rejects.toMatchObject({ code: 'invalid_field' });
  }
  const half = openObjects('s3://bucket', { ...settings, accessKey: 'x' });
  await expect(half).rejects.toThrow('belong together');
});
