import { expect, it } from "vitest";
import { added, moved, removed } from "./order";

it("adds a step at the end, once", () => {
  expect(added(["a"], "b")).toEqual(["a", "b"]);
  expect(added(["a", "b"], "a")).toEqual(["a", "b"]);
});

it("moves a step by one place, as far as there is one", () => {
  expect(moved(["a", "b", "c"], "c", -1)).toEqual(["a", "c", "b"]);
  expect(moved(["a", "b", "c"], "a", 1)).toEqual(["b", "a", "c"]);
  expect(moved(["a", "b"], "a", -1)).toEqual(["a", "b"]);
  expect(moved(["a", "b"], "b", 1)).toEqual(["a", "b"]);
  expect(moved(["a", "b"], "z", 1)).toEqual(["a", "b"]);
});

it("takes a step away and leaves the order of the others", () => {
  expect(removed(["a", "b", "c"], "b")).toEqual(["a", "c"]);
});
