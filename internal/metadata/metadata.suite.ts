import { describe, expect, test } from 'vitest';
import { catalogSuite } from './catalog.suite.js';
import {
  agent,
  answer,
  deletion,
  eachTest,
  faultOf,
  HOUR,
  key,
  NOON,
  org,
  type Stand,
  session,
} from './fixtures.suite.js';
import { keySuite } from './keys.suite.js';

/**
 * The contract of Metadata as tests: every implementation runs them, and a store that passes can
 * take the place of another. `stand` makes a new, empty store.
 */
export function metadataSuite(name: string, stand: () => Promise<Stand>): void {
  describe(`${name} keeps the contract of Metadata`, () => {
    orgSuite(stand);
    keySuite(stand);
    agentSuite(stand);
    sessionSuite(stand);
    answerSuite(stand);
    deletionSuite(stand);
    settingSuite(stand);
    catalogSuite(stand);
  });
}

function orgSuite(stand: () => Promise<Stand>): void {
  describe('organizations', () => {
    const open = eachTest(stand);

    test('are found by id, then by name', async () => {
      const { orgs } = await open();
      await orgs.create(org('acme', { retentionDays: 30 }));
      await orgs.create(org('beta', { createdUs: NOON + 1 }));
      expect(await orgs.find('org_acme')).toEqual(org('acme', { retentionDays: 30 }));
      expect(await orgs.find('beta')).toEqual(org('beta', { createdUs: NOON + 1 }));
      expect(await orgs.find('gamma')).toBeNull();
      expect((await orgs.list()).map((each) => each.name)).toEqual(['acme', 'beta']);
    });

    test('have unique names', async () => {
      const { orgs } = await open();
      await orgs.create(org('acme'));
      expect(await faultOf(orgs.create(org('acme', { id: 'org_2' })))).toBe('name_taken');
      expect(await orgs.find('org_2')).toBeNull();
    });

    test('keep their retention', async () => {
      const { orgs } = await open();
      await orgs.create(org('acme'));
      await orgs.setRetention('org_acme', 7);
      expect((await orgs.find('acme'))?.retentionDays).toBe(7);
      await orgs.setRetention('org_acme', null);
      expect((await orgs.find('acme'))?.retentionDays).toBeNull();
      expect(await faultOf(orgs.setRetention('org_none', 7))).toBe('not_found');
    });

    test('go with what they have, and leave others alone', async () => {
      const metadata = await open();
      const { orgs, keys, agents, sessions, answers } = metadata;
      for (const name of ['acme', 'beta']) {
        const id = `org_${name}`;
        await orgs.create(org(name));
        await keys.create(key(id, name, { permissions: ['admin'] }), name);
        await agents.create(agent(id, 'crawler'), answer(id, 'k'));
        await Promise.all(
          Array.from({ length: 1_100 }, (_, i) => sessions.create(session(id, `s${i}`))),
        );
      }
      expect(await orgs.delete('org_acme', NOON)).toBe(true);
      expect(await orgs.delete('org_acme', NOON)).toBe(false);
      expect(await orgs.find('acme')).toBeNull();
      expect(await keys.findByDigest('acme')).toBeNull();
      expect(await agents.list('org_acme', 10)).toEqual([]);
      expect(await sessions.list('org_acme', {}, 10)).toEqual([]);
      expect(await sessions.count('org_acme', 'crawler')).toEqual({ total: 0, active: 0 });
      expect(await answers.find('org_acme', 'memories', 'k', 0)).toBeNull();
      expect((await keys.findByDigest('beta'))?.org.name).toBe('beta');
      expect(await agents.list('org_beta', 10)).toHaveLength(1);
      expect(await sessions.count('org_beta', 'crawler')).toEqual({ total: 1_100, active: 1_100 });
      expect(await answers.find('org_beta', 'memories', 'k', 0)).not.toBeNull();
      // The name is free again; nothing can be added to the organization that went.
      await orgs.create(org('acme', { id: 'org_new' }));
      expect(await faultOf(sessions.create(session('org_acme', 's')))).toBe('not_found');
      expect(await faultOf(keys.create(key('org_acme', 'late'), 'late'))).toBe('not_found');
    });
  });
}

function agentSuite(stand: () => Promise<Stand>): void {
  describe('agents', () => {
    const open = eachTest(stand);

    test('are found by id, then by name, within their organization', async () => {
      const { orgs, agents } = await open();
      await orgs.create(org('acme'));
      await orgs.create(org('beta'));
      const crawler = agent('org_acme', 'crawler', { description: 'ä', configJson: '{"a":1}' });
      await agents.create(crawler);
      await agents.create(agent('org_beta', 'crawler'));
      expect(await agents.find('org_acme', 'agent_crawler')).toEqual(crawler);
      expect(await agents.find('org_acme', 'crawler')).toEqual(crawler);
      expect(await agents.find('org_acme', 'Crawler')).toBeNull();
      expect(await agents.delete('org_acme', 'agent_crawler')).toBe(true);
      expect(await agents.delete('org_acme', 'agent_crawler')).toBe(false);
      expect(await agents.find('org_beta', 'crawler')).not.toBeNull();
      expect(await faultOf(agents.create(agent('org_none', 'x')))).toBe('not_found');
    });

    test('of one name: of 200 that come at once, from two sides, exactly one is made', async () => {
      const first = await open();
      const second = await open();
      await first.orgs.create(org('acme'));
      const tries = Array.from({ length: 200 }, (_, i) => {
        const metadata = i % 2 === 0 ? first : second;
        const kept = answer('org_acme', `k${i}`, { route: 'agents' });
        return metadata.agents.create(agent('org_acme', 'one', { id: `agent_${i}` }), kept);
      });
      const results = await Promise.allSettled(tries);
      const made = results.flatMap((result, i) => (result.status === 'fulfilled' ? [i] : []));
      expect(made).toHaveLength(1);
      const codes = results.map((each) => (each.status === 'rejected' ? each.reason.code : 'made'));
      expect(new Set(codes)).toEqual(new Set(['made', 'name_taken']));
      expect((await first.agents.list('org_acme', 10)).map((each) => each.id)).toEqual(
        made.map((i) => `agent_${i}`),
      );
      // Answers live and die with what they answer.
      const answers = await Promise.all(
        tries.map((_, i) => first.answers.find('org_acme', 'agents', `k${i}`, 0)),
      );
      expect(answers.flatMap((each, i) => (each ? [i] : []))).toEqual(made);
    });

    test('are listed newest first, page by page, ties by id', async () => {
      const { orgs, agents } = await open();
      await orgs.create(org('acme'));
      for (const [name, at] of [
        ['a', 1],
        ['b', 3],
        ['c', 2],
        ['d', 2],
        ['e', 2],
      ] as const) {
        await agents.create(agent('org_acme', name, { createdUs: NOON + at }));
      }
      const names: string[] = [];
      for (let page = await agents.list('org_acme', 2); page.length > 0; ) {
        names.push(...page.map((each) => each.name));
        page = await agents.list('org_acme', 2, page.at(-1));
      }
      expect(names).toEqual(['b', 'e', 'd', 'c', 'a']);
    });
  });
}

function sessionSuite(stand: () => Promise<Stand>): void {
  describe('sessions', () => {
    const open = eachTest(stand);

    test('are listed by agent and status, newest first, and counted', async () => {
      const { orgs, sessions } = await open();
      await orgs.create(org('acme'));
      for (let i = 0; i < 24; i++) {
        const status = i % 3 === 0 ? 'closed' : 'active';
        const more = {
          agentId: i % 2 ? 'odd' : 'even',
          status,
          createdUs: NOON + (i >> 1),
        } as const;
        await sessions.create(session('org_acme', `s${String(i).padStart(2, '0')}`, more));
      }
      const walk = async (filter: Parameters<typeof sessions.list>[1]) => {
        const ids: number[] = [];
        for (let page = await sessions.list('org_acme', filter, 5); page.length > 0; ) {
          ids.push(...page.map((each) => Number(each.id.slice(1))));
          page = await sessions.list('org_acme', filter, 5, page.at(-1));
        }
        return ids;
      };
      const down = Array.from({ length: 24 }, (_, i) => 23 - i);
      expect(await walk({})).toEqual(down);
      expect(await walk({ agentId: 'odd' })).toEqual(down.filter((i) => i % 2));
      expect(await walk({ status: 'closed' })).toEqual(down.filter((i) => i % 3 === 0));
      const both = { agentId: 'even', status: 'active' } as const;
      expect(await walk(both)).toEqual(down.filter((i) => i % 2 === 0 && i % 3));
      expect(await sessions.count('org_acme', 'even')).toEqual({ total: 12, active: 8 });
      expect(await sessions.count('org_acme', 'nobody')).toEqual({ total: 0, active: 0 });
    });

    test('are replaced only as they were read, and deleted; the counts follow', async () => {
      const { orgs, sessions } = await open();
      await orgs.create(org('acme'));
      const first = session('org_acme', 's1', { metadataJson: '{"a":1}' });
      await sessions.create(first, answer('org_acme', 'k', { route: 'sessions' }));
      const closed = {
        ...first,
        status: 'closed',
        closedUs: NOON + 5,
        updatedUs: NOON + 5,
      } as const;
      expect(await sessions.replace(closed, NOON)).toBe(true);
      expect(await sessions.find('org_acme', 's1')).toEqual(closed);
      expect(await sessions.replace(first, NOON)).toBe(false);
      expect(await sessions.count('org_acme', 'crawler')).toEqual({ total: 1, active: 0 });
      expect(await sessions.replace({ ...first, updatedUs: NOON + 6 }, NOON + 5)).toBe(true);
      expect(await sessions.count('org_acme', 'crawler')).toEqual({ total: 1, active: 1 });
      expect(await sessions.delete('org_acme', 's1')).toBe(true);
      expect(await sessions.delete('org_acme', 's1')).toBe(false);
      expect(await sessions.find('org_acme', 's1')).toBeNull();
      expect(await sessions.count('org_acme', 'crawler')).toEqual({ total: 0, active: 0 });
    });

    test('updated at one moment: only one of two passes, though the clock stood still', async () => {
      const { orgs, sessions } = await open();
      await orgs.create(org('acme'));
      await sessions.create(session('org_acme', 's1'));
      const update = (text: string) =>
        sessions.replace(session('org_acme', 's1', { metadataJson: text }), NOON);
      expect(await Promise.all([update('{"a":1}'), update('{"b":1}')])).toEqual([true, false]);
      expect((await sessions.find('org_acme', 's1'))?.metadataJson).toBe('{"a":1}');
    });
  });
}

function answerSuite(stand: () => Promise<Stand>): void {
  describe('answers', () => {
    const open = eachTest(stand);

    test('are kept by organization, route and key, the first within its window', async () => {
      const { answers } = await open();
      const first = answer('org_acme', 'k');
      await answers.put([first, answer('org_beta', 'k', { answer: '{}' })]);
      await answers.put([first]);
      expect(await answers.find('org_acme', 'memories', 'k', NOON)).toEqual(first);
      expect(await answers.find('org_acme', 'memories', 'k', NOON + 1)).toBeNull();
      expect(await answers.find('org_acme', 'agents', 'k', 0)).toBeNull();
      const younger = answer('org_acme', 'k', { createdUs: NOON + 25 * HOUR, answer: '{"n":2}' });
      await answers.put([younger]);
      await answers.put([first]);
      expect(await answers.find('org_acme', 'memories', 'k', 0)).toEqual(younger);
    });

    test('are swept by age, however many', async () => {
      const { answers } = await open();
      const many = Array.from({ length: 1_800 }, (_, i) =>
        answer('org_acme', `k${i}`, { createdUs: NOON + i }),
      );
      await answers.put(many);
      expect(await answers.sweep(NOON + 1_200)).toBe(1_200);
      expect(await answers.sweep(NOON + 1_200)).toBe(0);
      expect(await answers.find('org_acme', 'memories', 'k1199', 0)).toBeNull();
      expect(await answers.find('org_acme', 'memories', 'k1200', 0)).toEqual(many[1_200]);
    });
  });
}

function deletionSuite(stand: () => Promise<Stand>): void {
  describe('deletions', () => {
    const open = eachTest(stand);

    test('come back as they were put, within their organization', async () => {
      const { deletions } = await open();
      const many = Array.from({ length: 700 }, (_, i) => deletion('org_acme', `era_${1_000 + i}`));
      await deletions.put(many);
      expect(await deletions.find('org_acme', 'era_1699')).toEqual(many[699]);
      expect(await deletions.find('org_beta', 'era_1699')).toBeNull();
      expect(await deletions.active()).toEqual(many);
    });

    test('are active until done; a replay does not bring them back', async () => {
      const { deletions } = await open();
      await deletions.put([deletion('org_acme', 'era_1'), deletion('org_acme', 'era_2')]);
      await deletions.setState('era_1', 'erasing', null);
      await deletions.setState('era_2', 'done', NOON + HOUR);
      await deletions.put([deletion('org_acme', 'era_1'), deletion('org_acme', 'era_2')]);
      expect((await deletions.active()).map((each) => [each.id, each.state])).toEqual([
        ['era_1', 'erasing'],
      ]);
      await deletions.put([deletion('org_beta', 'era_3')]);
      const { requestedUs } = deletion('org_acme', 'era_1');
      const ofOrg = async (sinceUs: number) =>
        (await deletions.ofOrg('org_acme', sinceUs)).map(({ id }) => id);
      expect(await ofOrg(requestedUs)).toEqual(['era_1', 'era_2']);
      expect(await ofOrg(requestedUs + 1)).toEqual([]);
      const done = await deletions.find('org_acme', 'era_2');
      expect([done?.state, done?.doneUs]).toEqual(['done', NOON + HOUR]);
    });
  });
}

function settingSuite(stand: () => Promise<Stand>): void {
  describe('settings', () => {
    const open = eachTest(stand);

    test('keep the first value, also of two that come at once, and across openings', async () => {
      const first = await open();
      const second = await open();
      const [a, b] = await Promise.all([first.setting('s', 'a'), second.setting('s', 'b')]);
      expect(a).toBe(b);
      await first.ping();
      expect(await first.checkpoint()).toBe(true);
      await first.close();
      expect(await (await open()).setting('s', 'c')).toBe(a);
    });

    test('of a closed store are store_unavailable, as is everything', async () => {
      const metadata = await open();
      await metadata.close();
      await metadata.close();
      expect(await faultOf(metadata.ping())).toBe('store_unavailable');
      expect(await faultOf(metadata.orgs.find('x'))).toBe('store_unavailable');
    });
  });
}
