import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TextBuffer } from './text-buffer.js';

test('the bytes are those of the texts, and stay when it is used anew', () => {
  const buffer = new TextBuffer();
  const kept: { bytes: Buffer; text: string }[] = [];
  const wellFormed = fc
    .string({ unit: 'binary', maxLength: 200 })
    .filter((text) => !/\p{Surrogate}/u.test(text));
  const pieces = fc.array(fc.oneof(wellFormed, fc.constant('行'.repeat(90_000))));
  fc.assert(
    fc.property(pieces, (texts) => {
      for (const text of texts) {
        buffer.text(text);
        buffer.ascii('{}');
      }
      const text = texts.map((one) => `${one}{}`).join('');
      expect(buffer.length).toBe(Buffer.byteLength(text));
      kept.push({ bytes: buffer.take(), text });
      expect(buffer.length).toBe(0);
    }),
    { numRuns: 50 },
  );
  for (const { bytes, text } of kept) expect(bytes.equals(Buffer.from(text))).toBe(true);
});
