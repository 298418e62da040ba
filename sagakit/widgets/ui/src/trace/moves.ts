/** Where the keys lead: from span to span along a lane, from lane to lane. No React. */
import { nearest } from "./bars";
import { around, type Row } from "./rows";
import type { Table } from "./table";

export interface Place {
  row: number; // of all rows, also those that are not shown
  run: number;
  span: number;
}

/** What there is to move in. */
export interface Ground {
  tables: Table[];
  rows: Row[];
  shown: number[];
  fits: Uint8Array[];
}

const PAGE = 10; // rows

/** Where a key leads, or null: it leads nowhere. Without a place it leads into the first row. */
export function moved(key: string, from: Place | null, ground: Ground): Place | null {
  const { shown, rows, tables } = ground;
  if (shown.length === 0) return null;
  if (!from) return into(shown[0]!, 0, 0, ground);
  const at = shown.indexOf(from.row);
  if (at < 0) {
    // it is in a row that is collapsed
    const near = around(rows, from.row).find((row) => shown.includes(row)) ?? shown[0]!;
    return into(near, from.run, tables[from.run]!.start[from.span]!, ground);
  }
  const down = { ArrowDown: 1, ArrowUp: -1, PageDown: PAGE, PageUp: -PAGE }[key];
  if (down !== undefined) return toRow(at + down, from, ground);
  if (key === "Top") return toRow(0, from, ground);
  if (key === "Bottom") return toRow(shown.length - 1, from, ground);
  const along = spansOf(ground, from.row);
  const here = along.findIndex(({ run, span }) => run === from.run && span === from.span);
  const to = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: along.length - 1 }[key];
  return to === undefined || here < 0 ? (along[0] ?? null) : (along[to] ?? null);
}

function toRow(at: number, from: Place, ground: Ground): Place | null {
  const { shown, tables } = ground;
  const row = shown[Math.min(Math.max(at, 0), shown.length - 1)]!;
  if (row === from.row) return null;
  return into(row, from.run, tables[from.run]!.start[from.span]!, ground);
}

/** The span of a row that is nearest to a time, in this trace if it has one there. */
export function into(row: number, run: number, time: number, ground: Ground): Place | null {
  const { rows, tables, fits } = ground;
  const lanes = rows[row]!.lanes;
  const has = (one: number) => lanes[one] !== undefined && lanes[one]! >= 0;
  const other = [run, 0, 1].find(has);
  if (other === undefined) return null;
  const span = nearest(tables[other]!, lanes[other]!, time, fits[other]);
  return { row, run: other, span };
}

/** The spans of a row that fit, of the first trace and then of the second; all if none fits. */
function spansOf({ rows, tables, fits }: Ground, row: number): Place[] {
  const all: Place[] = [];
  rows[row]!.lanes.forEach((lane, run) => {
    if (lane < 0) return;
    const { first } = tables[run]!;
    for (let span = first[lane]!; span < first[lane + 1]!; span++) all.push({ row, run, span });
  });
  const fitting = all.filter(({ run, span }) => fits[run]![span]);
  return fitting.length > 0 ? fitting : all;
}

/** The next span that fits, row by row, also in collapsed ones; after the last the first again. */
export function nextFitting({ tables, rows, fits }: Ground, from: Place | null): Place | null {
  let first: Place | null = null;
  for (let row = 0; row < rows.length; row++) {
    for (let run = 0; run < tables.length; run++) {
      const lane = rows[row]!.lanes[run]!;
      if (lane < 0) continue;
      for (let span = tables[run]!.first[lane]!; span < tables[run]!.first[lane + 1]!; span++) {
        if (!fits[run]![span]) continue;
        const place = { row, run, span };
        first ??= place;
        if (!from || isAfter(place, from)) return place;
      }
    }
  }
  return first;
}

function isAfter(one: Place, other: Place): boolean {
  return (one.row - other.row || one.run - other.run || one.span - other.span) > 0;
}

/** The row in which each lane of a trace stands. */
export function rowsByLane(rows: Row[], run: number): Int32Array {
  const count = rows.reduce((sum, { lanes }) => Math.max(sum, (lanes[run] ?? -1) + 1), 0);
  const found = new Int32Array(count).fill(-1);
  rows.forEach(({ lanes }, row) => {
    if ((lanes[run] ?? -1) >= 0) found[lanes[run]!] = row;
  });
  return found;
}

/**
 * The next span of a step, when it is clicked: the first, then its attempts and what undoes it.
 * -1: it has none.
 */
export function ofNode({ node }: Table, number: number, after: number): number {
  const next = node.indexOf(number, after >= 0 && node[after] === number ? after + 1 : 0);
  return next >= 0 ? next : node.indexOf(number);
}
