/** Which rows a list has that changes by itself, while somebody reads it. No React. */
import type { MonitoredExecution } from "../watching";

export interface Row {
  one: MonitoredExecution;
  isGone: boolean; // it is listed no longer: only its place is kept
}

/**
 * The rows to show: those that are listed now. But where somebody points, has the focus, or has
 * opened a form, that row and all above it keep their places, also those that have gone: nothing
 * moves beneath a hand.
 *
 * @param before the rows that are shown.
 * @param now what is listed.
 * @param held the ids of rows that must not move.
 */
export function arranged(before: Row[], now: MonitoredExecution[], held: string[]): Row[] {
  const last = before.findLastIndex(({ one }) => held.includes(one.id));
  const listed = new Map(now.map((one) => [one.id, one]));
  const kept = before.slice(0, last + 1).map((row): Row => {
    const one = listed.get(row.one.id);
    return one ? { one, isGone: false } : { ...row, isGone: true };
  });
  const placed = new Set(kept.map(({ one }) => one.id));
  const rest = now.filter(({ id }) => !placed.has(id));
  return [...kept, ...rest.map((one) => ({ one, isGone: false }))];
}

/** The same with a row about which there is something to say, though it is listed no longer. */
export function withRow(rows: Row[], before: Row[], id: string): Row[] {
  if (!id || rows.some(({ one }) => one.id === id)) return rows;
  const place = before.findIndex(({ one }) => one.id === id);
  const one = before[place]?.one ?? {
    id,
    saga: "",
    version: "",
    status: "",
    started_at: 0,
    since: 0,
    steps: [],
  };
  return rows.toSpliced(Math.max(0, place), 0, { one, isGone: true });
}
