import type { Auth } from '../auth/auth.js';
import type { Caller } from '../auth/caller.js';
import type { OrgStore } from '../metadata/metadata.js';

/** How long an organization's events are kept, by event time. */
export interface RetentionView {
  days: number | null;
  source: 'server' | 'org';
}

export class Retention {
  private readonly orgs: OrgStore;
  private readonly auth: Auth;
  /** 0 = keep everything. */
  private readonly serverDays: number;

  constructor(orgs: OrgStore, auth: Auth, serverDays: number) {
    this.orgs = orgs;
    this.auth = auth;
    this.serverDays = serverDays;
  }

  async get(caller: Caller): Promise<RetentionView> {
    const org = (await this.orgs.find(caller.orgId)) ?? caller.org;
    return this.view(org.retentionDays);
  }

  /** @param days null: the server's default */
  async set(caller: Caller, days: number | null): Promise<RetentionView> {
    await this.orgs.setRetention(caller.orgId, days);
    this.auth.forget();
    return this.view(days);
  }

  private view(days: number | null): RetentionView {
    if (days !== null) return { days, source: 'org' };
    return { days: this.serverDays > 0 ? this.serverDays : null, source: 'server' };
  }
}
