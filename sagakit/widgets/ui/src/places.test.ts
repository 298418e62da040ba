import { expect, test } from "vitest";
import { keyOf, located, nearest, opened, sagaAt, trail, withSagaAt } from "./places";
import type { Draft } from "./protocol";

const whole: Draft = {
  saga: "order",
  steps: [
    { step: "open", after: [] },
    {
      step: "payment",
      after: ["open"],
      saga: { saga: "pay", steps: [{ step: "authorize", after: [] }] },
    },
    {
      step: "pick",
      after: [],
      for_each: {
        items: "lines",
        step: { step: "line", saga: { saga: "l", steps: [{ step: "reserve", after: [] }] } },
      },
    },
  ],
};
const PAY = ["steps", 1, "saga"];
const EACH = ["steps", 2, "for_each"];
const LINE = [...EACH, "step", "saga"];

test("a place leads to the saga in it", () => {
  expect(sagaAt(whole, [])).toBe(whole);
  expect(sagaAt(whole, PAY)!.saga).toBe("pay");
  expect(sagaAt(whole, EACH)!.steps[0]!.step).toBe("line");
  expect(sagaAt(whole, LINE)!.saga).toBe("l");
  expect(sagaAt(whole, ["steps", 0, "saga"])).toBeNull();
});

test("a step opens into its saga or into what it does for each", () => {
  expect(opened(whole, [], 1)).toEqual(PAY);
  expect(opened(whole, [], 2)).toEqual(EACH);
  expect(opened(whole, EACH, 0)).toEqual(LINE);
  expect(opened(whole, [], 0)).toBeNull();
});

test("a saga put back at its place changes nothing else", () => {
  const inner = { saga: "pay", steps: [] };
  const now = withSagaAt(whole, PAY, inner);
  expect(sagaAt(now, PAY)).toBe(inner);
  expect(now.steps[0]).toBe(whole.steps[0]);
  const each = withSagaAt(whole, EACH, { saga: "", steps: [{ step: "other", after: [] }] });
  expect(each.steps[2]!.for_each).toEqual({ items: "lines", step: { step: "other" } });
});

test("the trail names the steps that a place is inside of", () => {
  expect(trail(whole, LINE)).toEqual([
    { name: "pick", at: EACH },
    { name: "line", at: LINE },
  ]);
  expect(keyOf(whole, LINE, "reserve")).toBe("pick/line/reserve");
  expect(keyOf(whole, [], "open")).toBe("open");
});

test("a problem's path is led to the innermost step, and the field in it", () => {
  expect(located(["steps", 0, "retry", "attempts"])).toEqual({
    at: [],
    index: 0,
    rest: ["retry", "attempts"],
  });
  expect(located([...PAY, "steps", 0, "action"])).toEqual({ at: PAY, index: 0, rest: ["action"] });
  expect(located([...EACH, "step", "service"])).toEqual({ at: EACH, index: 0, rest: ["service"] });
  expect(located([...LINE, "steps", 0])).toEqual({ at: LINE, index: 0, rest: [] });
  expect(located([...PAY, "deadline"])).toEqual({ at: [], index: 1, rest: ["saga", "deadline"] });
  expect(located(["deadline"])).toEqual({ at: [], index: null, rest: ["deadline"] });
});

test("when a place is gone, the nearest one around it is taken", () => {
  const { for_each: _, ...plain } = whole.steps[2]!;
  const now = { ...whole, steps: [whole.steps[0]!, whole.steps[1]!, plain as never] };
  expect(nearest(now, LINE)).toEqual([]);
  expect(nearest(whole, [...LINE, "steps", 0, "saga"])).toEqual(LINE);
});
