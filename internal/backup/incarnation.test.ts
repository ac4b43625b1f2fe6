import { expect, test } from 'vitest';
import { type Incarnation, sectionsFrom } from './incarnation.js';

const life = (id: string, parent: string | null, position: number, createdUs: number) =>
  ({ id, parent, position, createdUs, untilUs: null }) satisfies Incarnation;

const lineageOf = (...lives: Incarnation[]) => new Map(lives.map((one) => [one.id, one]));

const pathOf = (lineage: Map<string, Incarnation>, incarnation: string, position: number) =>
  sectionsFrom(lineage, { incarnation, position }, null).map(
    ({ incarnation: id, through }) => [id, through] as const,
  );

test('a server that was never restored has one life', () => {
  expect(pathOf(lineageOf(life('a', null, 0, 1)), 'a', 10)).toEqual([['a', Infinity]]);
  expect(pathOf(new Map(), 'a', 10)).toEqual([['a', Infinity]]);
});

test('the log goes on in the life that a restore began, from where both part', () => {
  const lineage = lineageOf(life('a', null, 0, 1), life('b', 'a', 50, 2), life('c', 'b', 80, 3));
  expect(pathOf(lineage, 'a', 10)).toEqual([
    ['a', 50],
    ['b', 80],
    ['c', Infinity],
  ]);
  expect(pathOf(lineage, 'b', 60)).toEqual([
    ['b', 80],
    ['c', Infinity],
  ]);
});

test('of two restores the newest counts; one that left before the backup is another history', () => {
  const lineage = lineageOf(life('a', null, 0, 1), life('b', 'a', 50, 2), life('c', 'a', 30, 3));
  expect(pathOf(lineage, 'a', 10)).toEqual([
    ['a', 30],
    ['c', Infinity],
  ]);
  expect(pathOf(lineage, 'a', 40)).toEqual([
    ['a', 50],
    ['b', Infinity],
  ]);
  expect(pathOf(lineage, 'a', 60)).toEqual([['a', Infinity]]);
});

test('a life that had not begun at the time is not followed', () => {
  const lineage = lineageOf(life('a', null, 0, 1), life('b', 'a', 50, 20));
  const backup = { incarnation: 'a', position: 10 };
  expect(sectionsFrom(lineage, backup, 19).map(({ incarnation }) => incarnation)).toEqual(['a']);
  expect(sectionsFrom(lineage, backup, 20).map(({ through }) => through)).toEqual([50, Infinity]);
});

test('a forged circle ends', () => {
  const lineage = lineageOf(life('b', 'c', 50, 2), life('c', 'b', 50, 3));
  expect(pathOf(lineage, 'a', 10)).toEqual([['a', Infinity]]);
});
