import { expect, it } from "vitest";
import { madeTables } from "./made";
import { spanWords, tookWords } from "./words";

const [table] = madeTables([
  [
    { lane: 0, start: 0, end: 4 },
    { lane: 1, start: 1, end: NaN },
    { lane: 1, start: 3, end: 2.5 },
  ],
  [{ label: "all" }, { label: "in", depth: 1 }],
]);

it("says how long a span took, as far as the trace knows", () => {
  expect(tookWords(table!, 0)).toBe("4 s");
  expect(tookWords(table!, 1)).toBe("at least 3 s"); // it may have run for long since
  expect(tookWords(table!, 2)).toBe("ended 500 ms before it began");
  expect(spanWords(table!, 1)).toBe("in, succeeded, at least 3 s, at 1 s");
});
