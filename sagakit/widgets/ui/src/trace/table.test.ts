import { expect, it } from "vitest";
import { madeRun, madeTables, Packer } from "./made";
import { tableOf, textOf, tookOf } from "./table";

const LANES = [{ label: "all" }, { label: "a", depth: 1 }, { label: "b", depth: 1 }];
const SPANS = [
  { lane: 0, start: 0, end: 4 },
  { lane: 1, start: 0, end: 1, parent: 0, outcome: "failed" },
  { lane: 1, start: 1, end: 3, parent: 0, critical: true },
  { lane: 2, start: 3, end: NaN, parent: 0 },
];

it("reads columns wherever the bytes begin", () => {
  for (const ahead of [0, 8, 3, 5]) {
    const packer = new Packer();
    const run = madeRun(packer, SPANS, LANES);
    const table = tableOf(run, packer.whole(ahead));
    expect([...table.start]).toEqual([0, 0, 1, 3]);
    expect([...table.lane]).toEqual([0, 1, 1, 2]);
    expect([...table.critical]).toEqual([0, 0, 1, 0]);
    expect([...table.size]).toEqual([2, 0, 0]);
  }
});

it("knows the spans of each lane, and what runs still", () => {
  const [table] = madeTables([SPANS, LANES]);
  expect([...table!.first]).toEqual([0, 1, 3, 4]);
  expect(table!.until[3]).toBe(4);
  expect([0, 1, 2, 3].map((span) => tookOf(table!, span))).toEqual([4, 1, 2, 1]);
  expect(textOf(table!, "outcome", 1)).toBe("failed");
  expect(textOf(table!, "name", 3)).toBe("b");
});

it("copes with a lane and a trace without spans", () => {
  const [table] = madeTables([[{ lane: 1, start: 0, end: 1 }], LANES]);
  expect([...table!.first]).toEqual([0, 0, 1, 1]);
  expect(madeTables([[], []])[0]!.start).toHaveLength(0);
});

it("sets spans of one instant in their order, each around what is inside it", () => {
  const at = (lane: number, parent: number) => ({ lane, start: 0, end: 0, parent });
  const lanes = [...LANES, { label: "c", depth: 2 }, { label: "d", depth: 2 }];
  // two of a name, each with a "c" and a "d" inside
  const spans = [at(0, -1), at(1, 0), at(1, 0), at(3, 1), at(3, 2), at(4, 1), at(4, 2)];
  const [table] = madeTables([spans, lanes]);
  expect(table!.byOrder).toBe(true);
  expect(table!.span).toBe(4);
  const places = [...table!.start].map((start, i) => [start, table!.until[i]]);
  expect(places).toEqual([
    [0, 4],
    [0, 2],
    [2, 4],
    [0, 1],
    [2, 3],
    [1, 2],
    [3, 4],
  ]);
  expect(tookOf(table!, 0)).toBe(0); // in truth
});
