import { expect, it } from "vitest";
import { bars, ceiling, chartWords, lasted, rate, totals } from "./numbers";

it("says how long in the two greatest units", () => {
  expect(lasted(0)).toBe("0 s");
  expect(lasted(59.9)).toBe("59 s");
  expect(lasted(60)).toBe("1 min");
  expect(lasted(125)).toBe("2 min 5 s");
  expect(lasted(7500)).toBe("2 h 5 min");
  expect(lasted(90000)).toBe("1 d 1 h");
});

it("says of clocks that differ no less than nothing", () => {
  expect(lasted(-30)).toBe("0 s");
});

it("gives a rate the decimals that say something", () => {
  expect([0, 0.44, 9.96, 31.2, 1234.5].map(rate)).toEqual(["0.0", "0.4", "10.0", "31", "1,235"]);
});

it("ends the chart at the next round number", () => {
  expect([0, 1, 2, 3, 5, 6, 11, 200, 201].map(ceiling)).toEqual([1, 1, 2, 5, 5, 10, 20, 200, 500]);
});

const series = { completed: [0, 4, 2], stuck: [1, 0, 0] };

it("makes a bar of each whole second before the reading", () => {
  expect(bars({ series, at: 100.7 })).toEqual([
    { second: 97, parts: [["stuck", 1]], total: 1 },
    { second: 98, parts: [["completed", 4]], total: 4 },
    { second: 99, parts: [["completed", 2]], total: 2 },
  ]);
  expect(bars({ series: {}, at: 100 })).toEqual([]);
});

it("says the chart in words", () => {
  const drawn = bars({ series, at: 100 });
  expect(chartWords(drawn, series)).toBe(
    "Outcomes in each of the last 3 seconds: 6 completed, 1 stuck; at most 4 in a second, 2 in the last",
  );
  const none = { completed: [0, 0] };
  expect(chartWords(bars({ series: none, at: 100 }), none)).toBe(
    "Outcomes in each of the last 2 seconds: none",
  );
  expect(totals(series)).toEqual([
    ["completed", 6],
    ["stuck", 1],
  ]);
});
