import { describe, expect, test } from "vitest";
import * as edits from "./edits";
import type { Draft, StepDraft } from "./protocol";

/** "a; b: a; c: a b" */
function saga(text: string): Draft {
  const steps = text.split("; ").map((part) => {
    const [step, after] = part.split(":");
    return { step: step!.trim(), after: after?.trim().split(" ") ?? [] };
  });
  return { saga: "s", steps };
}

function text(draft: Draft): string {
  const one = ({ step, after }: StepDraft) => (after.length ? `${step}: ${after.join(" ")}` : step);
  return draft.steps.map(one).join("; ");
}

describe("add", () => {
  test("puts a step below the others, under a free name, after the given ones", () => {
    const { draft, names } = edits.add(saga("a; a_2: a"), { step: "a", pivot: true }, ["a_2"]);
    expect(names).toEqual(["a_3"]);
    expect(draft.steps[2]).toEqual({ step: "a_3", pivot: true, after: ["a_2"] });
  });

  test("between two steps it takes the place of their edge, and stands above what follows", () => {
    const { draft } = edits.insert(saga("a; b: a; c: a"), { step: "n" }, "a", "b");
    expect(text(draft)).toBe("a; c: a; n: a; b: n");
  });
});

describe("remove", () => {
  test("heals the edges: what ran after the step runs after what that one ran after", () => {
    expect(text(edits.remove(saga("a; b: a; c: b; d: b"), ["b"]))).toBe("a; c: a; d: a");
  });

  test("heals over several removed steps, in whichever order they are named", () => {
    expect(text(edits.remove(saga("a; b: a; c: b; d: c"), ["b", "c"]))).toBe("a; d: a");
    expect(text(edits.remove(saga("a; b: a; c: b; d: c"), ["c", "b"]))).toBe("a; d: a");
  });

  test("writes no edge that follows from the others", () => {
    expect(text(edits.remove(saga("a; b: a; x: a; c: b x"), ["b"]))).toBe("a; x: a; c: x");
  });

  test("of a choice makes its branches run in any case", () => {
    const draft = saga("way; air: way");
    draft.steps[1]!.branch = ["way", "air"];
    expect(edits.remove(draft, ["way"]).steps).toEqual([{ step: "air", after: [] }]);
  });

  test("of a step that is not there is refused by name", () => {
    expect(() => edits.remove(saga("a"), ["b"])).toThrow("saga 's' has no step 'b'");
  });
});

describe("connect", () => {
  test("writes the edge, and moves the later step below the earlier one", () => {
    expect(text(edits.connect(saga("b; a; c: b"), "a", "b"))).toBe("a; b: a; c: b");
  });

  test.each([
    ["a", "a", "'a' cannot run after itself"],
    ["a", "b", "'b' runs after 'a' already"],
    ["c", "a", "'a' cannot run after 'c': 'c' runs after 'a', and that would be a circle"],
  ])("%s -> %s is refused with the reason", (from, to, reason) => {
    const draft = saga("a; b: a; c: b");
    expect(() => edits.connect(draft, from, to)).toThrow(edits.Refusal);
    expect(edits.objection(draft, from, to)).toBe(reason);
  });

  test("a circle that the text came with does not hang", () => {
    expect(text(edits.connect(saga("a: b; b: a; c"), "a", "c"))).toBe("a: b; b: a; c: a");
  });
});

test("disconnect drops the edge, and the branch that came by it", () => {
  const draft = saga("way; air: way; b: air");
  draft.steps[1]!.branch = ["way", "air"];
  expect(edits.disconnect(draft, "way", "air").steps[1]).toEqual({ step: "air", after: [] });
  expect(edits.disconnect(draft, "air", "b").steps[1]!.branch).toEqual(["way", "air"]);
});

describe("rename", () => {
  test("takes after and branch along", () => {
    const draft = saga("way; air: way; sea: way");
    draft.steps[1]!.branch = ["way", "air"];
    const now = edits.rename(draft, "way", "route");
    expect(text(now)).toBe("route; air: route; sea: route");
    expect(now.steps[1]!.branch).toEqual(["route", "air"]);
  });

  test.each([
    ["", "needs a name"],
    ["b", "another step is called 'b'"],
    ["x/y", "has a '/'"],
  ])("to '%s' is refused", (to, reason) => {
    expect(() => edits.rename(saga("a; b"), "a", to)).toThrow(reason);
  });

  test("is told from two drafts, but a step that takes another's place is none", () => {
    expect(edits.renames(saga("a; b"), saga("a; c"))).toEqual(new Map([["b", "c"]]));
    expect(edits.renames(saga("a; b"), saga("b; a")).size).toBe(0);
  });
});

describe("copy and paste", () => {
  test("takes the edges among the steps along, and gives free names", () => {
    const draft = saga("a; b: a; c: b");
    const { draft: pasted, names } = edits.paste(draft, edits.copy(draft, ["c", "b"]));
    expect(names).toEqual(["b_2", "c_2"]);
    expect(text(pasted)).toBe("a; b: a; c: b; b_2; c_2: b_2");
  });

  test("a branch comes along only with its choice", () => {
    const draft = saga("way; air: way");
    draft.steps[1]!.branch = ["way", "air"];
    expect(edits.copy(draft, ["air"])[0]).toEqual({ step: "air", after: [] });
    const both = edits.paste(draft, edits.copy(draft, ["way", "air"])).draft;
    expect(both.steps[3]!.branch).toEqual(["way_2", "air"]);
  });

  test("nothing is shared with the original", () => {
    const draft = saga("a");
    draft.steps[0]!.retry = { attempts: 3 };
    const [copied] = edits.copy(draft, ["a"]);
    (copied!.retry as { attempts: number }).attempts = 9;
    expect(draft.steps[0]!.retry).toEqual({ attempts: 3 });
  });

  test("duplicate puts the copies beside: after the same steps, in the same branch", () => {
    const draft = saga("way; air: way; b: air");
    draft.steps[1]!.branch = ["way", "air"];
    const { draft: twice } = edits.duplicate(draft, ["air", "b"]);
    expect(text(twice)).toBe("way; air: way; b: air; air_2: way; b_2: air_2");
    expect(twice.steps[3]!.branch).toEqual(["way", "air"]);
  });
});

test("the last of some steps are those that none of the others follows", () => {
  expect(edits.lastOf(saga("a; b: a; c: a; d: b"), ["a", "b", "c"])).toEqual(["b", "c"]);
});
