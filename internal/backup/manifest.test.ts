import { expect, test } from 'vitest';
import { BadManifest, decodeManifest, encodeManifest, type Manifest } from './manifest.js';

const hash = (digit: string) => digit.repeat(64);

const MANIFEST: Manifest = {
  id: 'bak_01JD0000000000000000000000',
  createdUs: 1_795_868_819_086_000,
  kind: 'full',
  version: '0.1.0',
  format: 1,
  stream: 'w_01JD0000000000000000000000.1',
  incarnation: null,
  positions: { 'w_01JD0000000000000000000000.1': 7 },
  database: { sha256: hash('a'), bytes: 4096 },
  files: [
    {
      key: 'events/2026-11-28/01JD0000000000000000000000.parquet',
      sha256: hash('b'),
      bytes: 100,
      rows: 3,
      role: 'events',
      mark: 'par_01JD0000000000000000000000',
    },
  ],
  missing: [],
  totals: { files: 1, bytes: 4196, rows: 3 },
};

test('a manifest comes back as it was written', () => {
  expect(decodeManifest(encodeManifest(MANIFEST))).toEqual(MANIFEST);
});

test('no cut and no changed byte passes', () => {
  const text = encodeManifest(MANIFEST);
  for (let at = 0; at < text.length - 2; at++) {
    expect(() => decodeManifest(text.slice(0, at)), `cut at ${at}`).toThrow(BadManifest);
    const other = String.fromCharCode(text.charCodeAt(at) ^ 1);
    const changed = text.slice(0, at) + other + text.slice(at + 1);
    // White space between members may change; what they say may not.
    try {
      expect(decodeManifest(changed)).toEqual(MANIFEST);
    } catch (error) {
      expect(error, `changed at ${at}`).toBeInstanceOf(BadManifest);
    }
  }
});

test('a key that leads out of the data directory is refused, whatever its checksum', () => {
  const [file] = MANIFEST.files;
  for (const key of ['../x', 'events/../../x', '/etc/passwd', 'memtrace.db', 'events/.x', '']) {
    const files = [{ ...file, key }];
    expect(() => decodeManifest(encodeManifest({ ...MANIFEST, files }))).toThrow('"files"');
  }
  const strange = { ...MANIFEST, id: '../../x' };
  expect(() => decodeManifest(encodeManifest(strange))).toThrow('"id"');
});
