import { expect, it } from "vitest";
import type { Film, MenuEntry } from "../watching";
import { faultOf, firstReach, nameOf, placeOf, reachOf } from "./faults";

const fail: MenuEntry = {
  kind: "fail",
  side: "action",
  label: "fail before",
  meaning: "",
  seconds: 0,
};
const slow: MenuEntry = {
  kind: "slow",
  side: "compensation",
  label: "slow compensation",
  meaning: "",
  seconds: 1,
};

it("puts into the scenario only what is not so anyway", () => {
  expect(faultOf(fail, "pay", { how: "always", count: 3 }, 0)).toEqual({
    fault: "fail",
    step: "pay",
  });
  expect(faultOf(slow, "pay", { how: "attempt", count: 2 }, 2.5)).toEqual({
    fault: "slow",
    step: "pay",
    side: "compensation",
    attempt: 2,
    seconds: 2.5,
  });
  expect(faultOf(fail, "pay", { how: "first", count: 3 }, 0)).toEqual({
    fault: "fail",
    step: "pay",
    first: 3,
  });
});

it("says the first one only as the first attempt", () => {
  expect(faultOf(fail, "pay", { how: "first", count: 1 }, 0)).toEqual({
    fault: "fail",
    step: "pay",
    attempt: 1,
  });
});

it("does not begin with a fault for good where a step is retried for ever", () => {
  expect(firstReach(true).how).toBe("attempt");
  expect(firstReach(false).how).toBe("always");
});

it("names a fault as the menu does, and says when it strikes", () => {
  const menu = { entries: [fail, slow], fits: [], crashes: [] };
  expect(nameOf({ fault: "slow", step: "pay", side: "compensation" }, menu)).toBe(
    "slow compensation",
  );
  expect(nameOf({ fault: "unheard of", step: "pay" }, menu)).toBe("unheard of");
  expect(reachOf({ fault: "slow", step: "pay", first: 2, seconds: 1 })).toBe(
    "the first 2 attempts, by 1 s",
  );
  expect(reachOf({ fault: "fail", step: "pay" })).toBe("every attempt");
});

it("says at which step a crash struck, and by its number where it never did", () => {
  const film = {
    struck: [[1, "crash", 0]],
    events: { step: [-1, 0], what: [0, 1] },
    words: ["execution started", "step started"],
    paths: ["pay"],
  } as unknown as Film;
  expect(placeOf(film, 0, { crash: 1 })).toBe("before “step started” is written: pay");
  expect(placeOf(film, 1, { crash: 9, written: true })).toBe("after event 9 is written");
});
