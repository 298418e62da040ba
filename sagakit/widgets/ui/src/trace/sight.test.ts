import { expect, it } from "vitest";
import { between, bringing, panned, whole, zoomed } from "./sight";

const all = whole(100);

it("begins with all of it, and room around; also when it took no time", () => {
  expect(all).toEqual({ from: -2, to: 102 });
  expect(whole(0).to).toBeGreaterThan(0);
});

it("is moved as far as there is something", () => {
  const near = { from: 10, to: 20 };
  expect(panned(near, 5, all)).toEqual({ from: 15, to: 25 });
  expect(panned(near, -50, all)).toEqual({ from: -2, to: 8 });
  expect(panned(near, 500, all)).toEqual({ from: 92, to: 102 });
});

it("comes nearer around a time that stays, and no farther than all of it", () => {
  const near = zoomed({ from: 0, to: 40 }, 2, 10, all);
  expect(near).toEqual({ from: 5, to: 25 });
  expect(zoomed(near, 0.001, 10, all)).toEqual(all);
  const nearest = zoomed(near, 1e12, 10, all);
  expect(nearest.to - nearest.from).toBeCloseTo(104e-7, 9);
});

it("goes from one time to another, whichever way it was drawn", () => {
  expect(between(30, 20, all)).toEqual({ from: 20, to: 30 });
  expect(between(20, 20, all).to).toBeGreaterThan(20);
});

it("brings a span into sight, and leaves alone what shows it", () => {
  const near = { from: 10, to: 20 };
  expect(bringing(near, 12, 13, all)).toBe(near);
  expect(bringing(near, 0, 100, all)).toBe(near); // it goes all through
  const moved = bringing(near, 50, 51, all);
  expect(moved.from).toBeLessThan(50);
  expect(moved.to).toBeGreaterThan(51);
  expect(moved.to - moved.from).toBeCloseTo(10);
});
