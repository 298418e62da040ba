import { expect, test } from "vitest";
import { layout } from "./layout";

const size = () => ({ width: 100, height: 40 });

test("what runs after stands further right, what runs beside stands below", () => {
  const places = layout(
    [
      { step: "a", after: [] },
      { step: "b", after: ["a"] },
      { step: "c", after: ["a"] },
    ],
    size,
  );
  const [a, b, c] = ["a", "b", "c"].map((name) => places.get(name)!);
  expect(b![0]).toBeGreaterThanOrEqual(a![0] + 100);
  expect(b![0]).toBe(c![0]);
  expect(Math.abs(b![1] - c![1])).toBeGreaterThanOrEqual(40);
});

test("a name that is no step is left out", () => {
  expect(layout([{ step: "a", after: ["gone"] }], size).size).toBe(1);
});
