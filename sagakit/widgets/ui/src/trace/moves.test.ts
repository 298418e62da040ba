import { expect, it } from "vitest";
import { madeTables } from "./made";
import { moved, nextFitting, ofNode, rowsByLane, type Ground, type Place } from "./moves";
import { EVERYTHING, fitting, rowsOf, shownRows, type Filter } from "./rows";

const LANES = [
  { label: "all", twin: 0 },
  { label: "pay", depth: 1, twin: 1 },
  { label: "undo", depth: 1 },
];
const FIRST = [
  { lane: 0, start: 0, end: 9 },
  { lane: 1, start: 0, end: 1, node: 0, outcome: "failed" },
  { lane: 1, start: 2, end: 3, node: 0 },
  { lane: 2, start: 8, end: 9, node: 0 },
];
const SECOND = FIRST.slice(0, 3);

function ground(
  tables = madeTables([FIRST, LANES]),
  filter: Partial<Filter> = {},
  collapsed: number[] = [],
): Ground {
  const rows = rowsOf(tables);
  const fits = tables.map((table) => fitting(table, { ...EVERYTHING, ...filter }));
  return { tables, rows, fits, shown: shownRows(rows, tables, fits, new Set(collapsed)) };
}
const both = () => ground(madeTables([FIRST, LANES], [SECOND, LANES.slice(0, 2)]));
const at = (row: number, span: number, run = 0): Place => ({ row, run, span });

it("begins in the first row", () => {
  expect(moved("ArrowDown", null, ground())).toEqual(at(0, 0));
  expect(moved("ArrowDown", null, ground(madeTables([[], []])))).toBeNull();
});

it("goes to what holds it when its own row is collapsed", () => {
  expect(moved("ArrowDown", at(2, 3), ground(undefined, {}, [0]))).toEqual(at(0, 0));
});

it("goes along a lane and stays at its ends", () => {
  expect(moved("ArrowRight", at(1, 1), ground())).toEqual(at(1, 2));
  expect(moved("ArrowRight", at(1, 2), ground())).toBeNull();
  expect(moved("ArrowLeft", at(1, 2), ground())).toEqual(at(1, 1));
  expect(moved("End", at(1, 1), ground())).toEqual(at(1, 2));
  expect(moved("Home", at(1, 2), ground())).toEqual(at(1, 1));
});

it("goes to the span of the next row that is nearest in time", () => {
  expect(moved("ArrowUp", at(2, 3), ground())).toEqual(at(1, 2));
  expect(moved("ArrowDown", at(0, 0), ground())).toEqual(at(1, 1));
  expect(moved("ArrowDown", at(2, 3), ground())).toBeNull();
  expect(moved("PageUp", at(2, 3), ground())).toEqual(at(0, 0));
  expect(moved("Bottom", at(0, 0), ground())).toEqual(at(2, 3));
});

it("goes on in the other trace, and back", () => {
  expect(moved("ArrowRight", at(1, 2), both())).toEqual(at(1, 1, 1));
  expect(moved("ArrowLeft", at(1, 1, 1), both())).toEqual(at(1, 2));
  expect(moved("ArrowUp", at(1, 2, 1), both())).toEqual(at(0, 0, 1));
  expect(moved("ArrowDown", at(1, 2, 1), both())).toEqual(at(2, 3)); // only the first has it
});

it("passes over what a filter leaves out", () => {
  const failed = ground(undefined, { outcomes: ["failed"] });
  expect(moved("ArrowRight", at(1, 1), failed)).toBeNull();
  expect(moved("ArrowDown", at(0, 0), failed)).toEqual(at(1, 1));
});

it("goes from one that fits to the next, and round", () => {
  const pays = ground(madeTables([FIRST, LANES], [SECOND, LANES.slice(0, 2)]), { words: "pay" });
  const found = [nextFitting(pays, null)];
  for (let i = 0; i < 4; i++) found.push(nextFitting(pays, found.at(-1)!));
  expect(found).toEqual([at(1, 1), at(1, 2), at(1, 1, 1), at(1, 2, 1), at(1, 1)]);
  expect(nextFitting(pays, at(0, 0))).toEqual(at(1, 1));
  expect(nextFitting(ground(undefined, { words: "none" }), at(0, 0))).toBeNull();
});

it("goes from span to span of a step, and round", () => {
  const [table] = madeTables([FIRST, LANES]);
  expect([-1, 1, 2, 3, 0].map((after) => ofNode(table!, 0, after))).toEqual([1, 2, 3, 1, 1]);
  expect(ofNode(table!, 7, -1)).toBe(-1);
});

it("knows the row of each lane", () => {
  const { rows } = both();
  expect([...rowsByLane(rows, 0)]).toEqual([0, 1, 2]);
  expect([...rowsByLane(rows, 1)]).toEqual([0, 1]);
});
