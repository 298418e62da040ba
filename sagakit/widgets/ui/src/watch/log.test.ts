import { expect, test } from "vitest";
import { inSight } from "./log";

const ROW = 26;
const HEIGHT = 10 * ROW;

test("a row that can be seen scrolls nothing", () => {
  for (const row of [3, 7, 12]) expect(inSight(row, 3 * ROW, HEIGHT, 100)).toBe(3 * ROW);
});

test("a row beyond the end comes with more of those after it than before it", () => {
  const top = inSight(13, 3 * ROW, HEIGHT, 100);
  expect(top).toBeGreaterThan(10 * ROW);
  expect(top).toBeLessThanOrEqual(13 * ROW);
});

test("a row before the beginning comes with more of those before it", () => {
  const top = inSight(49, 50 * ROW, HEIGHT, 100);
  expect(top).toBeGreaterThanOrEqual(40 * ROW);
  expect(top).toBeLessThan(44 * ROW);
});

test("nothing is scrolled beyond the ends", () => {
  expect(inSight(0, 5 * ROW, HEIGHT, 100)).toBe(0);
  expect(inSight(99, 0, HEIGHT, 100)).toBe(90 * ROW);
  expect(inSight(2, 5, HEIGHT, 4)).toBe(5);
  expect(inSight(0, 5, HEIGHT, 4)).toBe(0);
});
