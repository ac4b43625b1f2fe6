import { expect, test } from 'vitest';
import { checkArguments, type InputSchema } from './schema.js';

const schema: InputSchema = {
  type: 'object',
  properties: {
    name: { type: 'string', description: 'Who' },
    kind: { type: 'string', enum: ['a', 'b'] },
    kinds: { type: 'array', items: { type: 'string', enum: ['a', 'b'] } },
    share: { type: 'number', minimum: 0, maximum: 1 },
    limit: { type: 'integer', minimum: 1 },
    more: { type: 'object' },
  },
  required: ['name'],
  additionalProperties: false,
};

test('what fits comes back, and null is absent', () => {
  const sent = { name: 'n', kind: '', kinds: ['a'], share: 0, limit: 5, more: { x: null } };
  expect(checkArguments(sent, schema)).toEqual(sent);
  expect(checkArguments({ name: 'n', kind: null, limit: null }, schema)).toEqual({ name: 'n' });
});

test.each([
  [{}, { field: 'name', hint: 'Who' }],
  [{ name: null }, { field: 'name' }],
  [{ name: '' }, { field: 'name' }],
  [{ name: 5 }, { field: 'name' }],
  [
    { name: 'n', nam: 'n' },
    { field: 'nam', hint: 'Did you mean name?' },
  ],
  [{ name: 'n', kind: 'c' }, { field: 'kind' }],
  [{ name: 'n', kinds: 'a' }, { field: 'kinds' }],
  [{ name: 'n', kinds: ['a', 'c'] }, { field: 'kinds[1]' }],
  [{ name: 'n', kinds: [1] }, { field: 'kinds[0]' }],
  [{ name: 'n', share: 1.5 }, { field: 'share' }],
  [{ name: 'n', share: '0.5' }, { field: 'share' }],
  [{ name: 'n', limit: 0 }, { field: 'limit' }],
  [{ name: 'n', limit: 1.5 }, { field: 'limit' }],
  [{ name: 'n', more: [] }, { field: 'more' }],
  [{ name: 'n', more: 'x' }, { field: 'more' }],
])('%o is refused by name', (sent, details) => {
  expect(() => checkArguments(sent, schema)).toThrow(
    expect.objectContaining({ code: 'invalid_field', details: expect.objectContaining(details) }),
  );
});
