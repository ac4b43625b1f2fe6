import type { Order, Place } from '../event/event.js';
import { compareEvents } from '../event/filter.js';
import type { RecentRow } from './row.js';

interface Placed extends Place {
  row: RecentRow;
}

/**
 * Keeps the first `limit` rows of an order out of many offered; cheap when offered nearly in order.
 */
export class TopRows {
  private readonly placed: Placed[] = [];
  private readonly limit: number;
  private readonly order: Order;
  private readonly compare: (a: Place, b: Place) => number;

  constructor(limit: number, order: Order) {
    this.limit = limit;
    this.order = order;
    this.compare = compareEvents(order);
  }

  get rows(): RecentRow[] {
    return this.placed.map(({ row }) => row);
  }

  /** @param row may be moved on afterwards */
  offer(row: RecentRow): void {
    const { placed } = this;
    const last = placed[placed.length - 1];
    const isFull = placed.length === this.limit;
    // Mostly the time alone tells, without a look at the row's id.
    if (isFull && (last === undefined || this.isBehind(row.timeUs, last.timeUs))) return;
    const fresh: Placed = { timeUs: row.timeUs, id: row.id, row: row.kept() };
    const isLast = last === undefined || this.compare(fresh, last) >= 0;
    if (isFull && isLast) return;
    if (isFull) placed.pop();
    if (isLast) placed.push(fresh);
    else placed.splice(this.placeOf(fresh), 0, fresh);
  }

  private isBehind(timeUs: number, lastUs: number): boolean {
    return this.order === 'asc' ? timeUs > lastUs : timeUs < lastUs;
  }

  private placeOf(fresh: Placed): number {
    let low = 0;
    let high = this.placed.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.compare(this.placed[middle], fresh) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
