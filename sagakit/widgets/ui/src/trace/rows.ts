/** The rows of the timeline: which lanes stand in them, and which are shown. No React. */
import { textOf, tookOf, type Table } from "./table";

export interface Row {
  lanes: number[]; // of each trace; -1: it has none here
  label: string;
  depth: number;
  size: number; // so many rows behind it are inside it
  inside: number; // the row around it; -1: none
}

/** The lanes of one trace, or of two: lanes with the same path stand in one row. */
export function rowsOf(tables: Table[]): Row[] {
  const rows: Row[] = [];
  const [one, other] = tables;
  // no recursion: a trace may be deeper than the stack
  const stack: { lanes: [number, number]; inside: number }[] = [];
  const add = (pairs: [number, number][], inside: number): void => {
    for (const lanes of pairs.reverse()) stack.push({ lanes, inside });
  };
  if (one) add(paired(outermost(one), other ? outermost(other) : [], one), -1);
  while (stack.length > 0) {
    const { lanes, inside } = stack.pop()!;
    const [table, lane] = lanes[0] >= 0 ? [one!, lanes[0]] : [other!, lanes[1]];
    rows.push({
      lanes: lanes.slice(0, tables.length),
      label: table.run.texts[table.label[lane]!]!,
      depth: table.depth[lane]!,
      size: 0,
      inside,
    });
    add(paired(within(one, lanes[0]), within(other, lanes[1]), one!), rows.length - 1);
  }
  for (let at = rows.length - 1; at > 0; at--) {
    const { size, inside } = rows[at]!;
    if (inside >= 0) rows[inside]!.size += size + 1;
  }
  return rows;
}

function outermost({ size }: Table): number[] {
  return siblings(size, 0, size.length);
}

function within(table: Table | undefined, lane: number): number[] {
  if (!table || lane < 0) return [];
  return siblings(table.size, lane + 1, lane + 1 + table.size[lane]!);
}

function siblings(size: Int32Array, from: number, to: number): number[] {
  const found: number[] = [];
  for (let lane = from; lane < to; lane += size[lane]! + 1) found.push(lane);
  return found;
}

/** In the order of the first; what only the second has comes after the one before it there. */
function paired(first: number[], second: number[], { twin }: Table): [number, number][] {
  const known = new Map(first.map((lane) => [twin[lane]!, lane]));
  const alone = new Map<number, number[]>();
  let last = -1;
  for (const lane of second) {
    const beside = known.get(lane);
    if (beside === undefined) alone.set(last, [...(alone.get(last) ?? []), lane]);
    else last = beside;
  }
  const after = (lane: number) => (alone.get(lane) ?? []).map((one): [number, number] => [-1, one]);
  return [
    ...after(-1),
    ...first.flatMap((lane) => [[lane, twin[lane]!] as [number, number], ...after(lane)]),
  ];
}

// -- what is shown of them ------------------------------------------------------------------------

export interface Filter {
  words: string; // of the name or the service
  outcomes: string[]; // none: all
  least: number; // seconds
  most: number; // Infinity: any
  critical: boolean; // only what decided when it ended
}
export const EVERYTHING: Filter = {
  words: "",
  outcomes: [],
  least: 0,
  most: Infinity,
  critical: false,
};

/** By span: 1 if the filter lets it through. */
export function fitting(table: Table, filter: Filter): Uint8Array {
  const { texts } = table.run;
  const words = filter.words.trim().toLowerCase();
  const has = texts.map((text) => text.toLowerCase().includes(words));
  const ends = texts.map((text) => filter.outcomes.length === 0 || filter.outcomes.includes(text));
  return Uint8Array.from(table.lane, (lane, span) => {
    const took = tookOf(table, span);
    const isNamed = has[table.name[span]!] || has[table.service[span]!] || has[table.label[lane]!];
    const fits =
      isNamed &&
      ends[table.outcome[span]!] &&
      took >= filter.least &&
      took <= filter.most &&
      (!filter.critical || table.critical[span] === 1);
    return fits ? 1 : 0;
  });
}

/**
 * The numbers of the rows to show: those with a span that fits, those around them, and the row
 * `always`; without what is inside collapsed rows.
 */
export function shownRows(
  rows: Row[],
  tables: Table[],
  fits: Uint8Array[],
  collapsed: ReadonlySet<number>,
  always = -1,
): number[] {
  const keeps = new Uint8Array(rows.length);
  for (let i = rows.length - 1; i >= 0; i--) {
    const { lanes, inside } = rows[i]!;
    keeps[i] ||=
      i === always || lanes.some((lane, run) => fitsIn(tables[run]!, lane, fits[run]!)) ? 1 : 0;
    if (keeps[i] && inside >= 0) keeps[inside] = 1;
  }
  const shown: number[] = [];
  for (let i = 0; i < rows.length; i++) {
    if (!keeps[i]) continue;
    shown.push(i);
    if (collapsed.has(i)) i += rows[i]!.size;
  }
  return shown;
}

function fitsIn({ first }: Table, lane: number, fits: Uint8Array): boolean {
  if (lane < 0) return false;
  for (let span = first[lane]!; span < first[lane + 1]!; span++) if (fits[span]) return true;
  return false;
}

/** Of each row that is shown: the how many-th it is, from 1, of so many within the same row. */
export function rankOf(rows: Row[], shown: number[]): [nth: number, of: number][] {
  const counts = new Map<number, number>();
  const nths = shown.map((row) => {
    const { inside } = rows[row]!;
    counts.set(inside, (counts.get(inside) ?? 0) + 1);
    return counts.get(inside)!;
  });
  return shown.map((row, at) => [nths[at]!, counts.get(rows[row]!.inside)!]);
}

/** The rows around a row, the outermost last. */
export function around(rows: Row[], row: number): number[] {
  const found: number[] = [];
  for (let at = rows[row]!.inside; at >= 0; at = rows[at]!.inside) found.push(at);
  return found;
}

/** How often each outcome is in the traces, by name; the most frequent first. */
export function outcomesOf(tables: Table[]): [outcome: string, count: number][] {
  const counts = new Map<string, number>();
  for (const table of tables)
    for (let span = 0; span < table.outcome.length; span++) {
      const outcome = textOf(table, "outcome", span);
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    }
  return [...counts].sort(([, one], [, other]) => other - one);
}
