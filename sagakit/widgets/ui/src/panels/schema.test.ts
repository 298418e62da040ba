import { describe, expect, it } from "vitest";
import published from "../../../../../data/saga.schema.json";
import type { Json } from "../protocol";
import { sections } from "./groups";
import {
  fitting,
  initial,
  option,
  options,
  resolve,
  rewritten,
  shapes,
  wayName,
  words,
  type Schema,
} from "./schema";

const root = published as unknown as Schema;
const defs = root.$defs as Record<string, Schema>;
const struct = (name: string) => options(root, { $ref: `#/$defs/${name}` });
const of = (name: string, key: string) => struct(name).find((one) => one.key === key)!;
const kinds = (name: string, key: string) => of(name, key).shapes.map((one) => one.kind);

describe("an option of the real schema", () => {
  it("has the shapes that it can be written in", () => {
    expect(kinds("StepSpec", "step")).toEqual(["text"]);
    expect(kinds("StepSpec", "pivot")).toEqual(["boolean"]);
    expect(kinds("StepSpec", "timeout")).toEqual(["number"]);
    expect(kinds("StepSpec", "retry")).toEqual(["struct"]);
    expect(new Set(kinds("StepSpec", "compensation"))).toEqual(new Set(["text", "struct"]));
    expect(kinds("StepSpec", "branch")).toEqual(["row"]);
    expect(kinds("WaitSpec", "on_timeout")).toEqual(["words"]);
    expect(new Set(kinds("WaitSpec", "timeout"))).toEqual(new Set(["number", "text", "struct"]));
    expect(kinds("Retry", "on")).toEqual(["list"]);
    expect(kinds("SagaSpec", "input")).toEqual(["map"]);
    expect(kinds("Simulated", "result")).toEqual(["any"]);
  });
  it("that is text or a number is text", () => {
    expect(kinds("SagaSpec", "version")).toEqual(["text"]);
  });
  it("is described in the kernel's words, with its unit and what holds without it", () => {
    expect(of("StepSpec", "compensation_retry").label).toBe("Compensation retry");
    expect(of("StepSpec", "timeout").hint).toBe(
      "Seconds after which an attempt counts as in doubt.",
    );
    expect(of("StepSpec", "timeout").unit).toBe("s");
    expect(of("Retry", "max_wait").unit).toBe("s");
    expect(of("RetryBudget", "least").unit).toBe("");
    expect(of("RateLimit", "calls").unit).toBe(""); // a number of calls, in so many seconds
    expect(of("Retry", "backoff").fallback).toBe(2);
    expect(of("RateLimit", "calls").required).toBe(true);
    expect(of("Service", "hedge").hint).toMatch(/^Ask a second time when the answer is slow/);
  });
  it("is in the form whatever it is: the sections leave nothing out", () => {
    const shown = sections(struct("StepSpec"), []).flatMap((one) => one.options);
    expect(shown.map(({ key }) => key).sort()).toEqual(
      Object.keys(defs.StepSpec!.properties as object).sort(),
    );
  });
  it("that no section knows stands under More", () => {
    const news = option(root, "priority", { type: "integer" }, false);
    const found = sections([...struct("StepSpec"), news], ["step"]).at(-1)!;
    expect(found.title).toBe("More");
    expect(found.options.map(({ key }) => key)).toContain("priority");
  });
});

const connectors: Schema = {
  $defs: {
    Http: {
      title: "HTTP",
      type: "object",
      properties: {
        kind: { enum: ["http"] },
        method: { enum: ["GET", "POST"] },
        url: { type: "string" },
        headers: { type: "object", additionalProperties: { type: "string" } },
      },
      required: ["kind", "method", "url"],
    },
    Sql: {
      title: "SQL",
      type: "object",
      properties: { kind: { const: "sql" }, statement: { type: "string" } },
      required: ["kind", "statement"],
    },
    Stand: { title: "Stand", type: "object", properties: { name: { type: "string" } } },
  },
};
const action: Schema = {
  anyOf: ["Http", "Sql", "Stand"]
    .map((name): Json => ({ $ref: `#/$defs/${name}` }))
    .concat([{ type: "string" }, { type: "null" }]),
};
const ways = shapes(connectors, action).filter((one) => one.kind !== "null");
const named = (value: Json) => {
  const found = fitting(connectors, ways, value);
  return found && wayName(found, ways);
};

describe("a choice between shapes", () => {
  it("knows a value by its tag, by its keys, by its type", () => {
    expect(named({ kind: "http" })).toBe("HTTP");
    expect(named({ kind: "sql", url: "?" })).toBe("SQL");
    expect(named({ name: "pay" })).toBe("Stand");
    expect(named("pay")).toBe("By name");
    expect(named(7)).toBeUndefined();
    expect(named(null)).toBeUndefined();
  });
  it("begins with all that is required, the tag too", () => {
    const [http, sql] = ways;
    expect(initial(connectors, http!)).toEqual({ kind: "http", method: "GET", url: "" });
    expect(initial(connectors, sql!)).toEqual({ kind: "sql", statement: "" });
  });
  it("keeps the name when the shape is changed", () => {
    const stand = ways[2]!;
    const text = ways[3]!;
    expect(rewritten(connectors, stand, "pay")).toEqual({ name: "pay" });
    expect(rewritten(connectors, text, { name: "pay" })).toBe("pay");
    expect(rewritten(connectors, text, undefined)).toBe("");
    expect(rewritten(connectors, ways[1]!, "pay")).toEqual({ kind: "sql", statement: "" });
  });
  it("does not ask for a tag, which can have but one value", () => {
    const keys = options(connectors, { $ref: "#/$defs/Http" }).map(({ key }) => key);
    expect(keys).toEqual(["method", "url", "headers"]);
  });
});

describe("names", () => {
  it("are put into words", () => {
    expect(words("compensation_retry")).toBe("Compensation retry");
    expect(words("CircuitBreaker")).toBe("Circuit breaker");
    expect(words("WaitSpec")).toBe("Wait");
  });
  it("begin a hint as a sentence, but for what is no word", () => {
    const hint = (description: string) => option(root, "a", { description }, false).hint;
    expect(hint("seconds, at most")).toBe("Seconds, at most");
    expect(hint("https://… is filled in")).toBe("https://… is filled in");
  });
  it("are taken from the schema where it gives a title, but not from the struct referred to", () => {
    const text = { anyOf: [{ type: "string", title: "Expression" }, { type: "null" }] };
    expect(option(root, "cel", text as Schema, false).label).toBe("Expression");
    expect(option(root, "again", { $ref: "#/$defs/Retry" }, false).label).toBe("Again");
  });
});

describe("references", () => {
  it("that lead round in a circle end", () => {
    const circle: Schema = { $defs: { A: { $ref: "#/$defs/A" } } };
    expect(resolve(circle, { $ref: "#/$defs/A" }).name).toBe("A");
  });
});
