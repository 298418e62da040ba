import { expect, it } from "vitest";
import { durationWords, momentWords, secondsOf, ticksOf } from "./ticks";

const texts = (from: number, to: number, apart: number, byOrder = false) =>
  ticksOf(from, to, apart, byOrder).map(({ text }) => text);

it("has ticks at nice numbers, in a unit that fits", () => {
  expect(texts(-0.01, 0.5, 0.09)).toEqual(["0 ms", "100 ms", "200 ms", "300 ms", "400 ms", "500 ms"]); // prettier-ignore
  expect(texts(0, 1.2, 0.3)).toEqual(["0 ms", "500 ms", "1000 ms"]);
  expect(texts(0, 10, 1.9)).toEqual(["0 s", "2 s", "4 s", "6 s", "8 s", "10 s"]);
  expect(texts(0, 0.00003, 0.000009)).toEqual(["0 µs", "10 µs", "20 µs", "30 µs"]);
  expect(texts(0, 600, 110)).toEqual(["0 min", "2 min", "4 min", "6 min", "8 min", "10 min"]);
  expect(texts(0, 86400 * 3, 86000)).toEqual(["0 d", "1 d", "2 d", "3 d"]);
});

it("tells near ticks apart, also far from the beginning", () => {
  expect(texts(12.00001, 12.00004, 0.00001)).toEqual(["12.00001 s", "12.00002 s", "12.00003 s", "12.00004 s"]); // prettier-ignore
});

it("counts places where there are no times", () => {
  expect(texts(-0.1, 5, 0.4, true)).toEqual(["0", "1", "2", "3", "4", "5"]);
});

it("says durations in three digits", () => {
  const said = [0, 0.00001234, 0.5, 1, 0.99999, 1.2345, 90, 4000, 1e9].map(durationWords);
  expect(said).toEqual(["0 s", "12.3 µs", "500 ms", "1 s", "1 s", "1.23 s", "1.5 min", "1.11 h", "11,574 d"]); // prettier-ignore
  expect(momentWords(1.234567)).toBe("1.234567 s");
  expect(momentWords(0)).toBe("0 s");
});

it("reads durations as they are typed", () => {
  expect(["20 ms", "1.5", "2min", " ,5 S ", "7us"].map(secondsOf)).toEqual([0.02, 1.5, 120, 0.5, 7e-6]); // prettier-ignore
  expect(["", "fast", "-1 s", "1 s 2"].map(secondsOf)).toEqual([null, null, null, null]);
});
