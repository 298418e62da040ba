import { expect, it } from "vitest";
import type { MonitoredExecution } from "../watching";
import { arranged, withRow, type Row } from "./rows";

const one = (id: string, since = 0): MonitoredExecution => ({
  id,
  saga: "s",
  version: "",
  status: "running",
  started_at: 0,
  since,
});
const listed = (...ids: string[]) => ids.map((id) => one(id));
const rows = (...ids: string[]): Row[] => arranged([], listed(...ids), []);
const told = (made: Row[]) => made.map((row) => row.one.id + (row.isGone ? " gone" : ""));

it("shows what is listed, where nobody points", () => {
  expect(told(arranged(rows("a", "b", "c"), listed("b", "d"), []))).toEqual(["b", "d"]);
});

it("keeps the places down to a held row, and lets the rest follow", () => {
  const now = listed("c", "e", "f");
  expect(told(arranged(rows("a", "b", "c", "d"), now, ["c"]))).toEqual([
    "a gone",
    "b gone",
    "c",
    "e",
    "f",
  ]);
});

it("keeps a held row that has gone, as it was", () => {
  const made = arranged(rows("a", "b"), listed("b"), ["a"]);
  expect(told(made)).toEqual(["a gone", "b"]);
  expect(told(arranged(made, listed("b"), ["a"]))).toEqual(["a gone", "b"]);
  expect(told(arranged(made, listed("b"), []))).toEqual(["b"]);
});

it("holds down to the lowest of several", () => {
  expect(told(arranged(rows("a", "b", "c"), listed("z"), ["c", "a"]))).toEqual([
    "a gone",
    "b gone",
    "c gone",
    "z",
  ]);
});

it("shows news of a held row in its place", () => {
  const made = arranged(rows("a", "b"), [one("b", 9), one("a", 5)], ["b"]);
  expect(made.map((row) => [row.one.id, row.one.since])).toEqual([
    ["a", 5],
    ["b", 9],
  ]);
});

it("adds a row that there is something to say of, where it stood", () => {
  const before = rows("a", "b", "c");
  expect(told(withRow(rows("a", "c"), before, "b"))).toEqual(["a", "b gone", "c"]);
  expect(told(withRow(rows("a"), before, "a"))).toEqual(["a"]);
  expect(told(withRow(rows("a"), [], "z"))).toEqual(["z gone", "a"]);
  expect(told(withRow(rows("a"), before, ""))).toEqual(["a"]);
});
