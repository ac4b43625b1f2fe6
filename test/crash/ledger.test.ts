import { describe, expect, it } from 'vitest';
import type { Memory, NewMemory } from '../support/memory.js';
import { type Entry, Ledger } from './ledger.js';

function event(content: string): NewMemory {
  return { agent_id: 'a', content, tags: ['t'], metadata: { n: 1 } };
}

function stored(content: string, id = `mem_${content}`): Memory {
  const defaults = { time: '', ingested_at: '', org_id: 'o', dedup_key: 'k' };
  return { ...defaults, ...(event(content) as Memory), id };
}

function acked(ledger: Ledger, content: string): Entry {
  const [entry] = ledger.send([event(content)]);
  if (entry === undefined) throw new Error('nothing was noted');
  entry.state = 'acked';
  entry.id = `mem_${content}`;
  return entry;
}

function kinds(ledger: Ledger, rows: Memory[]): string[] {
  return ledger.check(rows).map((finding) => finding.kind);
}

describe('the ledger', () => {
  it('is content with what was acknowledged and with what was sent and survived', () => {
    const ledger = new Ledger();
    acked(ledger, 'x');
    ledger.send([event('y'), event('z')]);
    expect(kinds(ledger, [stored('x'), stored('y')])).toEqual([]);
  });

  it('finds what was lost, doubled, altered, revived and invented', () => {
    const ledger = new Ledger();
    acked(ledger, 'lost');
    acked(ledger, 'twice');
    acked(ledger, 'other');
    acked(ledger, 'moved');
    acked(ledger, 'gone').deletion = 'acked';
    const rows = [
      stored('twice'),
      stored('twice'),
      { ...stored('other'), tags: ['u'] },
      stored('moved', 'mem_else'),
      stored('gone'),
      stored('nobody'),
    ];
    const found = ['doubled', 'altered', 'altered', 'revived', 'invented', 'lost'];
    expect(kinds(ledger, rows)).toEqual(found);
  });

  it('finds half a batch, acknowledged or not', () => {
    const ledger = new Ledger();
    ledger.send([event('p'), event('q')], true);
    expect(kinds(ledger, [stored('p')])).toEqual(['torn']);
  });

  it('holds the server to what a reader has seen', () => {
    const ledger = new Ledger();
    ledger.send([event('x')]);
    expect(kinds(ledger, [stored('x')])).toEqual([]);
    expect(kinds(ledger, [])).toEqual(['lost']);
  });
});
