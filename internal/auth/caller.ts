import { type Clock, US_PER_DAY } from '../base/clock.js';
import { Fault } from '../fault/fault.js';
import type { Key, Org, Permission } from '../metadata/metadata.js';

/** Who calls: the organization comes from the key alone, nothing in a request names one. */
export interface Caller {
  orgId: string;
  org: Org;
  key: Key;
  permissions: readonly Permission[];
  /** Events before this time are beyond the retention; null = none. */
  floorUs: number | null;
}

/** Rejects with `permission_denied` unless the caller may. `admin` implies the others. */
export function require(caller: Caller, permission: Permission): void {
  if (caller.permissions.includes(permission) || caller.permissions.includes('admin')) return;
  throw new Fault('permission_denied', `this API key lacks the ${permission} permission`, {
    hint: `ask an administrator for a key with "${permission}"`,
  });
}

/** The retention floor of an organization; `serverDays` 0 = keep everything. */
export function retentionFloor(org: Org, serverDays: number, clock: Clock): number | null {
  const days = org.retentionDays ?? (serverDays > 0 ? serverDays : null);
  return days === null ? null : clock.nowUs() - days * US_PER_DAY;
}
