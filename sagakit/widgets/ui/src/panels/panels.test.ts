import { describe, expect, it } from "vitest";
import type { DataModel, Draft, Problem } from "../protocol";
import { indentAt, outdent } from "./indent";
import { addField, addRelation, changeEntity, removeEntity, tidy } from "./model";
import { placeName, problemsAt, tally } from "./problems";
import { tokens } from "./PythonCode";
import { laterThan } from "./RunsAfter";
import { withServices } from "./services";

const problem = (path: Problem["path"], level: Problem["level"] = "error"): Problem => ({
  level,
  text: path.join(),
  path,
});

describe("problems", () => {
  const found = [
    problem([]),
    problem(["steps", 1]),
    problem(["steps", 1, "retry"]),
    problem(["steps", 1, "retry", "attempts"], "warning"),
    problem(["steps", 10, "retry"]),
  ];
  const texts = (path: Problem["path"], parts?: string[]) =>
    problemsAt(found, path, parts).map((one) => one.text);
  it("belong to the field of their path, with all that is beneath it", () => {
    expect(texts(["steps", 1, "retry"])).toEqual(["steps,1,retry", "steps,1,retry,attempts"]);
  });
  it("of parts that show their own are left to them", () => {
    expect(texts(["steps", 1, "retry"], ["attempts"])).toEqual(["steps,1,retry"]);
    expect(texts([], ["steps"])).toEqual([""]);
  });
  it("are counted by level", () => {
    expect(tally(found)).toBe("4 errors, 1 warning");
    expect(tally([])).toBe("");
  });
  it("are placed by names", () => {
    const whole = {
      saga: "s",
      services: [{ service: "bank" }],
      steps: [{ step: "pay", saga: { saga: "in", steps: [{ step: "hold" }] } }],
    };
    const path = ["steps", 0, "saga", "steps", 0, "retry", "max_wait"];
    expect(placeName(path, whole)).toBe("step pay › saga › step hold › retry › max wait");
    expect(placeName(["services", 0, "hedge"], whole)).toBe("service bank › hedge");
    expect(placeName(["steps", 7], whole)).toBe("step 8");
    expect(placeName([], whole)).toBe("the saga");
  });
});

describe("what a step may run after", () => {
  const draft: Draft = {
    saga: "s",
    steps: [
      { step: "a", after: [] },
      { step: "b", after: ["a"] },
      { step: "c", after: ["b", "d"] },
      { step: "d", after: [] },
    ],
  };
  it("is none that comes after it, however far", () => {
    expect([...laterThan(draft, ["a"])]).toEqual(["b", "c"]);
    expect([...laterThan(draft, ["d", "b"])]).toEqual(["c"]);
    expect([...laterThan(draft, ["c"])]).toEqual([]);
  });
  it("is found also where the YAML text has a circle", () => {
    const circle = { ...draft, steps: [...draft.steps, { step: "a", after: ["c"] }] };
    expect(laterThan(circle, ["a"])).toEqual(new Set(["a", "b", "c"]));
  });
});

describe("services", () => {
  const draft: Draft = {
    saga: "s",
    services: [{ service: "bank" }, { service: "shop" }],
    steps: [
      { step: "pay", after: [], service: "bank" },
      { step: "ship", after: ["pay"], service: "shop" },
    ],
  };
  it("that are renamed take their steps along", () => {
    const next = withServices(draft, [{ service: "till" }, { service: "shop" }]);
    expect(next.steps.map((one) => one.service)).toEqual(["till", "shop"]);
  });
  it("that are removed or change places leave the steps alone", () => {
    const removed = withServices(draft, [{ service: "shop" }]);
    expect(removed.steps.map((one) => one.service)).toEqual(["bank", "shop"]);
    const swapped = withServices(draft, [{ service: "shop" }, { service: "bank" }]);
    expect(swapped.steps.map((one) => one.service)).toEqual(["bank", "shop"]);
  });
  it("are not in the draft where there are none", () => {
    expect("services" in withServices(draft, [])).toBe(false);
  });
});

describe("the data model", () => {
  const model: DataModel = {
    input: "Order",
    entities: [
      { name: "Order", fields: [{ name: "id", type: "integer", key: true }], relations: [] },
      { name: "Line", fields: [], relations: [{ name: "order", to: "Order", kind: "one" }] },
    ],
  };
  it("follows an entity that is renamed", () => {
    const next = changeEntity(model, 0, { ...model.entities[0]!, name: "Purchase" });
    expect(next.input).toBe("Purchase");
    expect(next.entities[1]!.relations[0]!.to).toBe("Purchase");
  });
  it("forgets what led to an entity that is gone", () => {
    const next = removeEntity(model, 0);
    expect("input" in next).toBe(false);
    expect(next.entities).toEqual([{ name: "Line", fields: [], relations: [] }]);
  });
  it("gives new parts a name that is free", () => {
    const order = addField(addField(model.entities[0]!, ["text"]), ["text"]);
    expect(order.fields.map((one) => one.name)).toEqual(["id", "field", "field2"]);
    expect(addRelation(order, "OrderLine").relations).toEqual([
      { name: "order_lines", to: "OrderLine", kind: "many" },
    ]);
  });
  it("says nothing that goes without saying", () => {
    expect(tidy({ name: "id", type: "text", key: false, description: "" })).toEqual({
      name: "id",
      type: "text",
    });
  });
});

describe("the YAML text", () => {
  it("goes on where the line before it begins, deeper after what it opens", () => {
    expect(indentAt("steps:", 6)).toBe("  ");
    expect(indentAt("  - step: pay", 13)).toBe("    ");
    expect(indentAt("saga: a\n    retry: {}", 20)).toBe("    ");
    expect(indentAt("", 0)).toBe("");
  });
  it("moves back by two spaces at most", () => {
    expect(outdent("    a")).toBe("  a");
    expect(outdent(" a")).toBe("a");
  });
});

describe("Python", () => {
  it("is coloured without losing a character", () => {
    const code = `"""Doc's."""\nfrom x import y  # it's\n@step\ndef f(a=1.5):\n    return 'a\\'b' + f"{a}"\n`;
    const found = tokens(code);
    expect(found.map((one) => one.text).join("")).toBe(code);
    const of = (kind: string) => found.filter((one) => one.kind === kind).map((one) => one.text);
    expect(of("keyword")).toEqual(["from", "import", "def", "return"]);
    expect(of("comment")).toEqual(["# it's"]);
    expect(of("text")).toEqual(['"""Doc\'s."""', "'a\\'b'", 'f"{a}"']);
    expect(of("number")).toEqual(["1.5"]);
  });
  it("of which a text does not end is still shown", () => {
    expect(tokens('"""open').map((one) => one.text)).toEqual(['"""open']);
  });
});
