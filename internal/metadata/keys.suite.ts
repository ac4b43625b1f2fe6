import { describe, expect, test } from 'vitest';
import { eachTest, faultOf, key, NOON, org, type Stand } from './fixtures.suite.js';

/** Part of metadataSuite: keys, the last admin key, the operator's bootstrap key. */
export function keySuite(stand: () => Promise<Stand>): void {
  describe('keys', () => {
    const open = eachTest(stand);
    const admin = (name: string, more = {}) =>
      key('org_acme', name, { permissions: ['admin'], ...more });
    const start = async () => {
      const metadata = await open();
      await metadata.orgs.create(org('acme'));
      return metadata;
    };

    test('are found by their digest, whatever their state, and listed newest first', async () => {
      const { keys, orgs } = await start();
      await orgs.create(org('beta'));
      const old = key('org_acme', 'old', { expiresUs: NOON - 1, revokedUs: NOON });
      const young = key('org_acme', 'young', { createdUs: NOON + 1, permissions: ['read'] });
      await keys.create(old, 'd1');
      await keys.create(young, 'd2');
      await keys.create(key('org_beta', 'other'), 'd3');
      expect(await keys.findByDigest('d1')).toEqual({ key: old, org: org('acme') });
      expect(await keys.findByDigest('none')).toBeNull();
      expect(await keys.list('org_acme')).toEqual([young, old]);
      expect(await faultOf(keys.create(key('org_none', 'x'), 'd4'))).toBe('not_found');
    });

    test('remember their last use and never move it back', async () => {
      const { keys } = await start();
      await keys.create(key('org_acme', 'a'), 'd1');
      await keys.touch([
        { id: 'key_a', usedUs: NOON + 9 },
        { id: 'key_none', usedUs: 1 },
      ]);
      await keys.touch([{ id: 'key_a', usedUs: NOON + 3 }]);
      expect((await keys.list('org_acme'))[0]?.lastUsedUs).toBe(NOON + 9);
    });

    test('are revoked, but never the last admin key that still works', async () => {
      const { keys } = await start();
      await keys.create(admin('one'), 'd1');
      await keys.create(admin('expired', { expiresUs: NOON }), 'd2');
      await keys.create(admin('gone', { revokedUs: NOON - 1 }), 'd3');
      await keys.create(key('org_acme', 'plain'), 'd4');
      expect(await keys.revoke('org_acme', 'key_one', NOON)).toBe('last_admin');
      // A moment earlier the other one still counted.
      expect(await keys.revoke('org_acme', 'key_gone', NOON)).toBe('revoked');
      expect(await keys.revoke('org_acme', 'key_plain', NOON)).toBe('revoked');
      expect(await keys.revoke('org_acme', 'key_expired', NOON)).toBe('revoked');
      expect(await keys.revoke('org_acme', 'key_none', NOON)).toBe('not_found');
      expect(await keys.revoke('org_beta', 'key_one', NOON)).toBe('not_found');
      await keys.create(admin('two', { expiresUs: NOON + 1 }), 'd5');
      expect(await keys.revoke('org_acme', 'key_one', NOON)).toBe('revoked');
      expect((await keys.findByDigest('d1'))?.key.revokedUs).toBe(NOON);
      expect((await keys.findByDigest('d3'))?.key.revokedUs).toBe(NOON - 1);
      expect(await keys.revoke('org_acme', 'key_two', NOON)).toBe('last_admin');
    });

    test('two admin keys revoked at once, from two sides: one stays', async () => {
      const first = await start();
      const second = await open();
      await first.keys.create(admin('one'), 'd1');
      await first.keys.create(admin('two'), 'd2');
      const results = await Promise.all([
        first.keys.revoke('org_acme', 'key_one', NOON),
        second.keys.revoke('org_acme', 'key_two', NOON),
      ]);
      expect(results.sort()).toEqual(['last_admin', 'revoked']);
    });
  });

  bootstrapSuite(stand);
}

function bootstrapSuite(stand: () => Promise<Stand>): void {
  describe('the bootstrap key', () => {
    const open = eachTest(stand);
    const bootKey = (id: string, createdUs = NOON) =>
      key('org_default', id, { permissions: ['admin'], createdUs });

    test('makes its organization once, and the same value again changes nothing', async () => {
      const { keys, orgs } = await open();
      expect(await keys.bootstrap(org('default'), bootKey('a'), 'A')).toBe('created');
      const again = org('default', { id: 'org_other' });
      expect(await keys.bootstrap(again, bootKey('b'), 'A')).toBe('unchanged');
      expect((await orgs.list()).map((each) => each.id)).toEqual(['org_default']);
      expect((await keys.list('org_default')).map((each) => each.id)).toEqual(['key_a']);
    });

    test('joins an organization of that name', async () => {
      const { keys, orgs } = await open();
      await orgs.create(org('default', { id: 'org_mine' }));
      expect(await keys.bootstrap(org('default'), bootKey('a'), 'A')).toBe('created');
      const found = await keys.findByDigest('A');
      expect([found?.org.id, found?.key.orgId]).toEqual(['org_mine', 'org_mine']);
    });

    test('is replaced by another value, revoked, and can come back', async () => {
      const { keys } = await open();
      const first = org('default');
      await keys.bootstrap(first, bootKey('a'), 'A');
      expect(await keys.bootstrap(first, bootKey('b', NOON + 5), 'B')).toBe('replaced');
      expect((await keys.findByDigest('A'))?.key.revokedUs).toBe(NOON + 5);
      expect((await keys.findByDigest('B'))?.key.revokedUs).toBeNull();
      expect(await keys.bootstrap(first, bootKey('c', NOON + 9), 'A')).toBe('replaced');
      expect((await keys.findByDigest('A'))?.key.revokedUs).toBeNull();
      expect((await keys.findByDigest('B'))?.key.revokedUs).toBe(NOON + 9);
      expect(await keys.bootstrap(first, bootKey('d'), 'A')).toBe('unchanged');
    });

    test('that was revoked by hand stays revoked with the next start', async () => {
      const { keys } = await open();
      await keys.bootstrap(org('default'), bootKey('a'), 'A');
      await keys.create(bootKey('hand'), 'H');
      expect(await keys.revoke('org_default', 'key_a', NOON)).toBe('revoked');
      expect(await keys.bootstrap(org('default'), bootKey('b'), 'A')).toBe('unchanged');
      expect((await keys.findByDigest('A'))?.key.revokedUs).toBe(NOON);
    });

    test('outlives the deletion of its organization', async () => {
      const { keys, orgs } = await open();
      await keys.bootstrap(org('default'), bootKey('a'), 'A');
      await orgs.delete('org_default', NOON);
      const fresh = org('default', { id: 'org_fresh' });
      expect(await keys.bootstrap(fresh, bootKey('b'), 'A')).toBe('replaced');
      expect((await keys.findByDigest('A'))?.org.id).toBe('org_fresh');
    });

    test('at two starts at once is made once', async () => {
      const [first, second] = [await open(), await open()];
      const results = await Promise.all([
        first.keys.bootstrap(org('default'), bootKey('a'), 'A'),
        second.keys.bootstrap(org('default', { id: 'org_2' }), bootKey('b'), 'A'),
      ]);
      expect(results.sort()).toEqual(['created', 'unchanged']);
      expect(await first.orgs.list()).toHaveLength(1);
    });
  });
}
