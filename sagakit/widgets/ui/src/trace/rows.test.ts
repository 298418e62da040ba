import { expect, it } from "vitest";
import { madeTables } from "./made";
import {
  around,
  EVERYTHING,
  fitting,
  outcomesOf,
  rankOf,
  rowsOf,
  shownRows,
  type Filter,
} from "./rows";

const ONE = madeTables([
  [
    { lane: 0, start: 0, end: 10 },
    { lane: 1, start: 0, end: 4 },
    { lane: 2, start: 0, end: 1, outcome: "failed" },
    { lane: 2, start: 1, end: 4, critical: true },
    { lane: 3, start: 4, end: 10 },
  ],
  [
    { label: "all" },
    { label: "pay", depth: 1 },
    { label: "try", depth: 2 },
    { label: "ship", depth: 1 },
  ],
]);

function shown(filter: Partial<Filter>, collapsed: number[] = [], always = -1): string[] {
  const rows = rowsOf(ONE);
  const fits = ONE.map((table) => fitting(table, { ...EVERYTHING, ...filter }));
  return shownRows(rows, ONE, fits, new Set(collapsed), always).map((row) => rows[row]!.label);
}

it("has a row for each lane, inside the one around it", () => {
  const rows = rowsOf(ONE);
  expect(rows.map(({ label, depth, size, inside }) => [label, depth, size, inside])).toEqual([
    ["all", 0, 3, -1],
    ["pay", 1, 1, 0],
    ["try", 2, 0, 1],
    ["ship", 1, 0, 0],
  ]);
  expect(around(rows, 2)).toEqual([1, 0]);
});

it("has rows for a trace that is deeper than the stack", () => {
  const deep = Array.from({ length: 8000 }, (_, depth) => ({ label: "in", depth }));
  const spans = deep.map((_, lane) => ({ lane, start: 0, end: 1 }));
  const rows = rowsOf(madeTables([spans, deep]));
  expect(rows.length).toBe(8000);
  expect(rows[0]!.size).toBe(7999);
  expect(around(rows, 7999).length).toBe(7999);
});

it("leaves out what is inside a collapsed row", () => {
  expect(shown({})).toEqual(["all", "pay", "try", "ship"]);
  expect(shown({}, [1])).toEqual(["all", "pay", "ship"]);
  expect(shown({}, [0])).toEqual(["all"]);
});

it("shows what fits, with what is around it, and what is selected", () => {
  expect(shown({ outcomes: ["failed"] })).toEqual(["all", "pay", "try"]);
  expect(shown({ least: 5 })).toEqual(["all", "ship"]);
  expect(shown({ most: 3 })).toEqual(["all", "pay", "try"]);
  expect(shown({ least: 3, most: 5 })).toEqual(["all", "pay", "try"]);
  expect(shown({ least: 4, most: 4 })).toEqual(["all", "pay"]);
  expect(shown({ words: " SHIP" })).toEqual(["all", "ship"]);
  expect(shown({ critical: true })).toEqual(["all", "pay", "try"]);
  expect(shown({ words: "nothing" })).toEqual([]);
  expect(shown({ words: "ship" }, [], 1)).toEqual(["all", "pay", "ship"]);
});

it("knows the rank of a row among those beside it", () => {
  const rows = rowsOf(ONE);
  expect(rankOf(rows, [0, 1, 2, 3])).toEqual([
    [1, 1],
    [1, 2],
    [1, 1],
    [2, 2],
  ]);
  expect(rankOf(rows, [0, 3])).toEqual([
    [1, 1],
    [1, 1],
  ]);
});

it("sets lanes of the same path beside each other, in the order of the first", () => {
  const lanes = (labels: [string, number, number][]) =>
    labels.map(([label, depth, twin]) => ({ label, depth, twin }));
  const tables = madeTables(
    [[], lanes([["all", 0, 0], ["a", 1, 2], ["undo a", 1, -1], ["b", 1, 3]])], // prettier-ignore
    [[], lanes([["all", 0, 0], ["early", 1, -1], ["a", 1, 1], ["b", 1, 3], ["c", 1, -1], ["in c", 2, -1]])], // prettier-ignore
  );
  const rows = rowsOf(tables);
  expect(rows.map(({ label, lanes }) => [label, ...lanes])).toEqual([
    ["all", 0, 0],
    ["early", -1, 1],
    ["a", 1, 2],
    ["undo a", 2, -1],
    ["b", 3, 3],
    ["c", -1, 4],
    ["in c", -1, 5],
  ]);
  expect(rows.map(({ size }) => size)).toEqual([6, 0, 0, 0, 0, 1, 0]);
});

it("counts outcomes, the most frequent first", () => {
  expect(outcomesOf(ONE)).toEqual([
    ["succeeded", 4],
    ["failed", 1],
  ]);
});
