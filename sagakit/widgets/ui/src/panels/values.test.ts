import { describe, expect, it } from "vitest";
import type { Json } from "../protocol";
import type { Shape } from "./schema";
import { duration, format, get, parse, parseMapping, put, same } from "./values";

const number: Shape = { kind: "number", whole: false };
const whole: Shape = { kind: "number", whole: true, least: 1, most: 9 };
const text: Shape = { kind: "text" };
const any: Shape = { kind: "any" };

describe("what is typed", () => {
  it("is read as the shape needs it", () => {
    expect(parse(number, " 2.5 ")).toEqual({ value: 2.5 });
    expect(parse(number, "1e3")).toEqual({ value: 1000 });
    expect(parse(number, ".5")).toEqual({ value: 0.5 });
    expect(parse(text, "2.5")).toEqual({ value: "2.5" });
    expect(parse(any, '{"a": 1}')).toEqual({ value: { a: 1 } });
    expect(parse(any, "paid")).toEqual({ value: "paid" });
    expect(parse(any, "false")).toEqual({ value: false });
  });
  it("is left out where it is nothing", () => {
    for (const shape of [number, text, any])
      expect(parse(shape, "  ")).toEqual({ value: undefined });
  });
  it.each([
    [number, "abc", "“abc” is not a number; give one such as 2.5"],
    [number, "0x10", "“0x10” is not a number; give one such as 2.5"],
    [number, "2,5", "“2,5” is not a number; give one such as 2.5"],
    [number, "1e999", "1e999 is too large; give a smaller number"],
    [whole, "1.5", "1.5 is not a whole number; give one such as 2"],
    [whole, "0", "0 is too small; give 1 or more"],
    [whole, "10", "10 is too large; give 9 or less"],
    [
      { kind: "text", pattern: "^[a-z]+$" } as Shape,
      "A1",
      "“A1” has not the form that is needed: ^[a-z]+$",
    ],
  ])("is no value where it cannot be read: %#", (shape, typed, error) => {
    expect(parse(shape as Shape, typed as string)).toEqual({ error });
  });
  it("is no value while JSON is not whole, and the place is told", () => {
    expect(parse(any, '{"a": }')).toEqual({
      error: "is not JSON yet: unexpected token '}'",
    });
    expect(parse(any, '{\n "a": 1,\n "b" 2}')).toEqual({
      error: "is not JSON yet: line 3, column 6 is not what belongs there",
    });
    expect(parse(any, "[1,")).toEqual({
      error: "is not JSON yet: it ends too early; close what is open",
    });
  });
  it("must be an object where a schema is asked for", () => {
    expect(parseMapping('{"type": "object"}')).toEqual({ value: { type: "object" } });
    expect(parseMapping("")).toEqual({ value: undefined });
    for (const other of ["[]", "3", "object", "{"])
      expect(parseMapping(other)).toHaveProperty("error");
  });
});

describe("what is shown", () => {
  it.each<[Shape, Json]>([
    [number, 2.5],
    [text, "paid"],
    [any, "paid"],
    [any, "42"],
    [any, "true"],
    [any, '"quoted"'],
    [any, "[not a list"],
    [any, 42],
    [any, null],
    [any, { a: [1, "x"] }],
  ])("can be typed again: %#", (shape, value) => {
    expect(parse(shape, format(shape, value))).toEqual({ value });
  });
  it("is what stands there, also where it does not fit", () => {
    expect(format(number, "soon")).toBe("soon");
    expect(parse(number, "soon")).toHaveProperty("error");
  });
});

describe("seconds", () => {
  it("are told in words where they are many", () => {
    expect([604800, 5400, 61, 60, 90.5, "soon", undefined].map(duration)).toEqual([
      "7 d",
      "1 h 30 min",
      "1 min 1 s",
      "",
      "",
      "",
      "",
    ]);
  });
});

describe("a value within a value", () => {
  const saga = { steps: [{ step: "a", retry: { attempts: 2, wait: 1 } }, { step: "b" }] };
  it("is put where its path leads, and the rest stays the very same", () => {
    const next = put(saga, ["steps", 0, "retry", "attempts"], 3);
    expect(next.steps[0]).toEqual({ step: "a", retry: { attempts: 3, wait: 1 } });
    expect(next.steps[1]).toBe(saga.steps[1]);
    expect(saga.steps[0]!.retry!.attempts).toBe(2);
  });
  it("is made with what is around it", () => {
    expect(put({}, ["retry", "attempts"], 3)).toEqual({ retry: { attempts: 3 } });
  });
  it("is taken out", () => {
    expect(put(saga, ["steps", 0, "retry"], undefined).steps[0]).toEqual({ step: "a" });
    expect(put(saga, ["steps", 0], undefined).steps).toEqual([{ step: "b" }]);
  });
  it("keeps its place among its neighbours", () => {
    expect(Object.keys(put({ a: 1, b: 2, c: 3 }, ["b"], 9))).toEqual(["a", "b", "c"]);
  });
  it("is found, or is undefined", () => {
    expect(get(saga, ["steps", 0, "retry", "wait"])).toBe(1);
    expect(get(saga, ["steps", 7, "retry"])).toBeUndefined();
  });
});

describe("two values", () => {
  it("are the same whatever the order of their keys", () => {
    expect(same({ a: 1, b: [1, { c: 2 }] }, { b: [1, { c: 2 }], a: 1 })).toBe(true);
    expect(same({ a: undefined }, { b: undefined })).toBe(false);
    expect(same([1], { 0: 1 })).toBe(false);
    expect(same(null, {})).toBe(false);
  });
});
