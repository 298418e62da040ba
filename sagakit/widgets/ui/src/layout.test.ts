import { expect, test } from "vitest";
import { layout } from "./layout";

const size = () => ({ width: 100, height: 40, middle: 20 });

test("what runs after stands further right, what runs beside stands below", () => {
  const { places } = layout(
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
  expect(layout([{ step: "a", after: ["gone"] }], size).places.size).toBe(1);
});

test("branches between the same steps stand in the saga's order", () => {
  const steps = ["b", "c", "d"].map((step) => ({ step, after: ["a"] }));
  const { places } = layout(
    [{ step: "a", after: [] }, ...steps, { step: "e", after: ["b", "c", "d"] }],
    size,
  );
  const heights = ["b", "c", "d"].map((name) => places.get(name)![1]);
  expect(heights).toEqual([...heights].sort((one, other) => one - other));
});

test("steps in a row stand in a straight line, whatever hangs beneath them", () => {
  const steps = [
    { step: "a", after: [] },
    { step: "b", after: ["a"] },
  ];
  const { places } = layout(steps, ({ step }) => ({
    width: 100,
    height: step === "a" ? 80 : 40,
    middle: 20,
  }));
  expect(places.get("a")![1]).toBe(places.get("b")![1]);
});
