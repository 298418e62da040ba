/** What is drawn of a lane: its spans as bars, very narrow ones that are close as one. No React. */
import type { Sight } from "./sight";
import type { Table } from "./table";

export interface Bar {
  span: number; // the one that is shown: of several that with the rarest outcome
  first: number;
  count: number; // spans in it
  left: number; // px from the start of what is drawn
  width: number;
  isOpen: boolean; // it runs still
  isCritical: boolean;
  fits: boolean; // the filter lets one of them through
}

export interface Window {
  from: number; // seconds
  to: number;
  scale: number; // px a second
}

const NARROW = 5; // px; so wide is the narrowest bar, and as close are those that become one
const BEYOND = 8; // px; a bar that goes farther than what is drawn is cut here

/** The bars of a lane in a window of time; of several spans within `cell` px there is one. */
export function barsOf(
  table: Table,
  lane: number,
  { from, to, scale }: Window,
  fits: Uint8Array,
  cell = NARROW,
): Bar[] {
  const { start, until, first } = table;
  const [begin, stop] = [first[lane]!, first[lane + 1]!];
  const bars: Bar[] = [];
  const right = (to - from) * scale + BEYOND;
  let last: Bar | null = null;
  let lastCell = NaN;
  for (let span = firstUntil(until, begin, stop, from - NARROW / scale); span < stop; span++) {
    const at = start[span]!;
    if (at > to) break;
    const isNarrow = (until[span]! - at) * scale < cell;
    const own = isNarrow ? Math.floor((at * scale) / cell) : NaN;
    if (last && own === lastCell) {
      join(last, table, span, fits);
      continue;
    }
    const left = Math.max((at - from) * scale, -BEYOND);
    const end = Math.min((until[span]! - from) * scale, right);
    last = {
      span,
      first: span,
      count: 1,
      left,
      width: Math.max(end - left, NARROW),
      isOpen: Number.isNaN(table.end[span]!),
      isCritical: table.critical[span] === 1,
      fits: fits[span] === 1,
    };
    lastCell = own;
    bars.push(last);
  }
  return bars;
}

/** A failure among a hundred that went well must be seen: what is rare in the trace is shown. */
function join(bar: Bar, table: Table, span: number, fits: Uint8Array): void {
  const { usual, outcome, critical } = table;
  const isRarer = usual[outcome[span]!]! < usual[outcome[bar.span]!]!;
  const fitsMore = fits[span]! > fits[bar.span]!;
  if (fitsMore || (isRarer && fits[span] === fits[bar.span])) bar.span = span;
  bar.count += 1;
  bar.isCritical ||= critical[span] === 1;
  bar.fits ||= fits[span] === 1;
}

/** The first span of a lane that ends at `time` or later; in a lane they end in their order. */
function firstUntil(until: Float64Array, from: number, to: number, time: number): number {
  while (from < to) {
    const middle = (from + to) >> 1;
    if (until[middle]! < time) from = middle + 1;
    else to = middle;
  }
  return from;
}

/**
 * The bars of several lanes, never more than `most` in all: if there were more, what is close
 * becomes one sooner.
 */
export function barsWithin(
  lanes: { table: Table; lane: number; fits: Uint8Array }[],
  window: Window,
  most: number,
): Bar[][] {
  for (let cell = NARROW; ; cell *= 2) {
    const bars = lanes.map(({ table, lane, fits }) =>
      lane < 0 ? [] : barsOf(table, lane, window, fits, cell),
    );
    const count = bars.reduce((sum, one) => sum + one.length, 0);
    if (count <= most || cell > (window.to - window.from) * window.scale) return bars;
  }
}

/** The span of a lane that is nearest to a time; only among those that fit, if any does. */
export function nearest(table: Table, lane: number, time: number, fits?: Uint8Array): number {
  let [found, least] = [-1, Infinity];
  for (let span = table.first[lane]!; span < table.first[lane + 1]!; span++) {
    if (fits && !fits[span]) continue;
    const away = Math.max(table.start[span]! - time, time - table.until[span]!, 0);
    if (away < least) [found, least] = [span, away];
  }
  return found < 0 && fits ? nearest(table, lane, time) : found;
}

/** How many spans that fit begin in each of so many equal parts of the time in sight at most. */
export function density(table: Table, fits: Uint8Array, all: Sight, parts: number): Int32Array {
  const counts = new Int32Array(parts);
  const { start, parent } = table;
  // what all others are in begins where everything does, and tells nothing
  const isOneTree = start.length > 1 && parent.filter((one) => one < 0).length === 1;
  for (let span = 0; span < start.length; span++) {
    if (!fits[span] || (isOneTree && parent[span]! < 0)) continue;
    const part = Math.floor(((start[span]! - all.from) / (all.to - all.from)) * parts);
    counts[Math.min(Math.max(part, 0), parts - 1)]! += 1;
  }
  return counts;
}
