import { expect, it } from "vitest";
import { barsOf, barsWithin, density, nearest, type Window } from "./bars";
import { madeTables } from "./made";

const all = (count: number) => new Uint8Array(count).fill(1);
const lane = [{ label: "a" }];
const window = (from: number, to: number, scale: number): Window => ({ from, to, scale });

it("draws spans where they are, and cuts those that go farther than what is drawn", () => {
  const spans = [
    { lane: 0, start: 0, end: 2 },
    { lane: 0, start: 2, end: 3 },
    { lane: 0, start: 5, end: 100 },
  ];
  const [table] = madeTables([spans, lane]);
  const bars = barsOf(table!, 0, window(1, 9, 10), all(3));
  expect(bars.map(({ span, left, width }) => [span, left, width])).toEqual([
    [0, -8, 18],
    [1, 10, 10],
    [2, 40, 48],
  ]);
});

it("leaves out what is before and after", () => {
  const spans = Array.from({ length: 100 }, (_, i) => ({ lane: 0, start: i, end: i + 1 }));
  const [table] = madeTables([spans, lane]);
  const found = barsOf(table!, 0, window(40, 45, 100), all(100)).map(({ span }) => span);
  expect(found).toEqual([39, 40, 41, 42, 43, 44, 45]);
});

it("makes one bar of what falls into the same few pixels, and shows what is rare", () => {
  const spans = Array.from({ length: 1000 }, (_, i) => ({
    lane: 0,
    start: i,
    end: i + 1,
    outcome: i === 503 ? "failed" : "succeeded",
    critical: i === 700,
  }));
  const [table] = madeTables([spans, lane]);
  const bars = barsOf(table!, 0, window(0, 1000, 0.5), all(1000));
  expect(bars).toHaveLength(100);
  expect(bars.reduce((sum, { count }) => sum + count, 0)).toBe(1000);
  expect(bars[50]).toMatchObject({ span: 503, first: 500, count: 10 });
  expect(bars.filter(({ isCritical }) => isCritical)).toHaveLength(1);
  const fits = new Uint8Array(1000);
  fits[509] = 1; // what fits a filter comes before what is rare
  expect(barsOf(table!, 0, window(0, 1000, 0.5), fits)[50]).toMatchObject({
    span: 509,
    fits: true,
  });
});

it("groups the same spans wherever it is panned to", () => {
  const spans = Array.from({ length: 100 }, (_, i) => ({ lane: 0, start: i, end: i + 0.5 }));
  const [table] = madeTables([spans, lane]);
  const groups = (from: number) =>
    barsOf(table!, 0, window(from, from + 40, 1.1), all(100))
      .slice(1, -1)
      .map(({ first, count }) => `${first}+${count}`);
  const one = groups(10);
  expect(groups(11.3).filter((group) => one.includes(group)).length).toBeGreaterThan(6);
});

it("keeps spans apart that are wide enough, also beside narrow ones", () => {
  const spans = [
    { lane: 0, start: 0, end: 0 },
    { lane: 0, start: 0, end: 5 },
    { lane: 0, start: 5, end: 5 },
    { lane: 0, start: 5, end: NaN },
  ];
  const [table] = madeTables([
    [...spans, { lane: 1, start: 9, end: 9 }],
    [...lane, ...lane],
  ]);
  const bars = barsOf(table!, 0, window(0, 9, 10), all(5));
  expect(bars.map(({ count, isOpen }) => [count, isOpen])).toEqual([
    [1, false],
    [1, false],
    [1, false],
    [1, true],
  ]);
  expect(bars[3]!.width).toBe(40);
});

it("never draws more bars than it may", () => {
  const spans = Array.from({ length: 6000 }, (_, i) => ({
    lane: Math.floor(i / 200),
    start: i % 200,
    end: (i % 200) + 0.5,
  }));
  const lanes = Array.from({ length: 30 }, () => ({ label: "a" }));
  const [table] = madeTables([spans, lanes]);
  const parts = lanes.map((_, lane) => ({ table: table!, lane, fits: all(6000) }));
  const bars = barsWithin(parts, window(0, 200, 10), 1200).flat();
  expect(bars.length).toBeLessThanOrEqual(1200);
  expect(bars.length).toBeGreaterThan(600); // and no fewer than it must
  expect(bars.reduce((sum, { count }) => sum + count, 0)).toBe(6000);
  expect(barsWithin(parts, window(0, 200, 10), 9000).flat()).toHaveLength(6000);
  expect(barsWithin(parts, window(0, 200, 10), 5).flat()).not.toHaveLength(0); // it ends
});

it("finds the span nearest to a time", () => {
  const spans = [0, 10, 20].map((start) => ({ lane: 0, start, end: start + 4 }));
  const [table] = madeTables([spans, lane]);
  expect([-1, 3, 6, 8, 99].map((time) => nearest(table!, 0, time))).toEqual([0, 0, 0, 1, 2]);
  expect(nearest(table!, 0, 0, Uint8Array.of(0, 0, 1))).toBe(2);
  expect(nearest(table!, 0, 12, new Uint8Array(3))).toBe(1); // none fits
});

it("counts where the spans that fit begin", () => {
  const spans = [0, 0, 1, 5, 9.99, 10].map((start, i) => ({
    lane: 0,
    start,
    end: start,
    parent: i === 0 ? -1 : 0,
  }));
  const [table] = madeTables([spans, lane]);
  const all5 = { from: 0, to: 10 };
  expect([...density(table!, all(6), all5, 5)]).toEqual([2, 0, 1, 0, 2]);
  expect([...density(table!, Uint8Array.of(1, 0, 0, 1, 0, 0), all5, 5)]).toEqual([0, 0, 1, 0, 0]);
  const roots = [
    { lane: 0, start: 1, end: 2 },
    { lane: 0, start: 7, end: 8 },
  ];
  const [several] = madeTables([roots, lane]);
  expect([...density(several!, all(2), all5, 5)]).toEqual([1, 0, 0, 1, 0]);
});
