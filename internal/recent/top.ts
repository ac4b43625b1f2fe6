import type { Event } from '../event/event.js';
import type { RecentRow } from './generation.js';

/**
 * Keeps the first `limit` rows of an order out of many offered; cheap when offered nearly in order.
 */
export class TopRows {
  readonly rows: RecentRow[] = [];
  private readonly limit: number;
  private readonly compare: (a: Event, b: Event) => number;

  constructor(limit: number, compare: (a: Event, b: Event) => number) {
    this.limit = limit;
    this.compare = compare;
  }

  offer(row: RecentRow): void {
    const { rows } = this;
    const last = rows[rows.length - 1];
    if (rows.length === this.limit) {
      if (last === undefined || this.compare(row.event, last.event) >= 0) return;
      rows.pop();
    } else if (last === undefined || this.compare(row.event, last.event) >= 0) {
      rows.push(row);
      return;
    }
    rows.splice(this.placeOf(row.event), 0, row);
  }

  private placeOf(event: Event): number {
    let low = 0;
    let high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.compare(this.rows[middle].event, event) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
