/** A trace as the page works with it: the kernel's columns of numbers, read where they stand. No React. */
import type { Column, TraceRun } from "../watching";

export interface Table {
  run: TraceRun;
  start: Float64Array;
  end: Float64Array; // NaN: it runs still
  until: Float64Array; // where its bar ends: that of what runs still at the end of the trace
  lane: Int32Array;
  parent: Int32Array;
  name: Int32Array;
  service: Int32Array;
  outcome: Int32Array;
  node: Int32Array;
  critical: Uint8Array;
  depth: Int32Array;
  size: Int32Array;
  label: Int32Array;
  twin: Int32Array;
  first: Int32Array; // by lane: its first span; one more at the end
  usual: Int32Array; // by text: how many spans have this outcome
  span: number; // what the axis shows: seconds, or so many places
  byOrder: boolean; // everything was at one instant: places in order instead of seconds
}

const KINDS = { f8: Float64Array, i4: Int32Array, u1: Uint8Array };

/** A column; it is copied only where the bytes do not stand as its type must. */
function column<T>(numbers: DataView, [place, kind]: Column, count: number): T {
  const Kind = KINDS[kind];
  const at = numbers.byteOffset + place;
  const size = Kind.BYTES_PER_ELEMENT;
  const made =
    at % size === 0
      ? new Kind(numbers.buffer as ArrayBuffer, at, count)
      : new Kind(numbers.buffer.slice(at, at + count * size) as ArrayBuffer);
  return made as T;
}

export function tableOf(run: TraceRun, numbers: DataView): Table {
  const { spans, lanes } = run;
  const of = <T>(one: Column) => column<T>(numbers, one, spans.count);
  const ofLane = (one: Column) => column<Int32Array>(numbers, one, lanes.count);
  const lane = of<Int32Array>(spans.lane);
  const outcome = of<Int32Array>(spans.outcome);
  const first = new Int32Array(lanes.count + 1).fill(spans.count);
  for (let span = spans.count - 1; span >= 0; span--) first[lane[span]!] = span;
  for (let i = lanes.count - 1; i >= 0; i--) first[i] = Math.min(first[i]!, first[i + 1]!);
  const usual = new Int32Array(run.texts.length);
  for (const text of outcome) usual[text]! += 1;
  const end = of<Float64Array>(spans.end);
  return {
    run,
    start: of(spans.start),
    end,
    until: end.map((one) => (Number.isNaN(one) ? run.duration : one)),
    lane,
    parent: of(spans.parent),
    name: of(spans.name),
    service: of(spans.service),
    outcome,
    node: of(spans.node),
    critical: of(spans.critical),
    depth: ofLane(lanes.depth),
    size: ofLane(lanes.size),
    label: ofLane(lanes.label),
    twin: ofLane(lanes.twin),
    first,
    usual,
    span: run.duration,
    byOrder: false,
  };
}

/** The traces of a widget, on one axis. */
export function tablesOf(runs: TraceRun[], numbers: DataView): Table[] {
  const tables = runs.map((run) => tableOf(run, numbers));
  return tables.some(({ span }) => span > 0) ? tables : tables.map(inOrder);
}

/** Where all times are one instant: what has nothing inside takes a place, one after the other. */
function inOrder(table: Table): Table {
  const count = table.parent.length;
  const [start, until] = [new Float64Array(count).fill(Infinity), new Float64Array(count)];
  const inside: number[][] = Array.from({ length: count }, () => []);
  const stack: number[] = [];
  for (let i = count - 1; i >= 0; i--) (inside[table.parent[i]!] ?? stack).push(i);
  let place = 0;
  while (stack.length > 0) {
    const span = stack.pop()!;
    stack.push(...inside[span]!);
    if (inside[span]!.length === 0) [start[span], until[span]] = [place, ++place];
  }
  for (let i = count - 1; i >= 0; i--) {
    const around = table.parent[i]!; // it stands before what is inside it
    if (around < 0) continue;
    start[around] = Math.min(start[around]!, start[i]!);
    until[around] = Math.max(until[around]!, until[i]!);
  }
  return { ...table, start, until, span: place, byOrder: true };
}

export function textOf(table: Table, column: "name" | "service" | "outcome", span: number): string {
  return table.run.texts[table[column][span]!]!;
}

/** Seconds that a span took, or has taken so far. */
export function tookOf(table: Table, span: number): number {
  const end = table.end[span]!;
  const start = table.byOrder ? 0 : table.start[span]!;
  return Math.max(0, (Number.isNaN(end) ? table.run.duration : end) - start);
}
