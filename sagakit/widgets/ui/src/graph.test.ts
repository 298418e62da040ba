import { expect, test } from "vitest";
import * as graph from "./graph";
import type { Draft, Kind, State } from "./protocol";

const draft: Draft = {
  saga: "order",
  services: [{ service: "bank", breaker: { failures: 3 } }],
  steps: [
    { step: "create", after: [], compensation: "cancel" },
    { step: "pay", after: ["create"], service: "bank", retry: { attempts: 3 }, timeout: 120 },
    { step: "way", after: ["pay"], choice: "by_weight", pivot: true },
    { step: "air", after: ["way"], branch: ["way", "air"] },
    { step: "insure", after: ["way"], when: "is_dear", action: { http: { url: "x" } } },
    { step: "pack", after: ["air"], saga: { saga: "p", steps: [{ step: "wrap", after: [] }] } },
  ],
};
const kinds: Record<string, Kind> = { create: "compensatable", air: "retriable" };
const problem = (path: (string | number)[]) => ({ level: "error" as const, text: "", path });
const state = {
  draft,
  kinds,
  problems: [
    problem(["steps", 1, "retry"]),
    problem(["steps", 5, "saga", "steps", 0]),
    problem([]),
  ],
} as unknown as State;
const view = { whole: draft, at: [], draft, state, positions: {} };
const data = graph.stepData(view, graph.problemsByStep(state));
const of = (name: string) => data.find((one) => one.name === name)!;

test("a step shows its kind as the kernel derives it, and itself until then", () => {
  expect(data.map(({ kind }) => kind)).toEqual([
    "compensatable",
    "plain",
    "pivot",
    "retriable",
    "plain",
    "plain",
  ]);
});

test("a step shows what it is, its service's policies, retries and timeout", () => {
  expect(data.map(({ icon }) => icon)).toEqual([
    "step",
    "step",
    "choice",
    "step",
    "connector",
    "saga",
  ]);
  expect(of("pay").badges.map(({ icon, text }) => [icon, text])).toEqual([
    ["retry", "3×"],
    ["timeout", "2 min"],
    ["guards", ""],
  ]);
  expect(of("pay").about).toBe("bank");
  expect(of("insure").about).toBe("http");
  expect(of("pack")).toMatchObject({ about: "1 step inside", opens: true });
  expect(of("create").undo).toBe("cancel");
});

test("problems are counted for their step, and those inside a step for it too", () => {
  expect(data.map(({ problems }) => problems)).toEqual([0, 1, 0, 0, 0, 1]);
  expect(of("pay").worst).toBe("error");
});

test("all of it is said to who does not see it", () => {
  expect(of("pay").spoken).toBe(
    "pay; has no compensation; bank; runs after create; At most 3 attempts; " +
      "Times out after 2 min; Service 'bank' has a breaker; 1 problem",
  );
});

test("conditional edges have a label: the branch, or the condition", () => {
  const labels = graph.edgesOf(draft).map(({ source, target, label }) => [source, target, label]);
  expect(labels).toContainEqual(["way", "air", "air"]);
  expect(labels).toContainEqual(["way", "insure", "if is_dear"]);
  expect(labels).toContainEqual(["create", "pay", undefined]);
});

test("an expression stands for itself", () => {
  const when = { cel: "input.amount > 100" };
  expect(graph.condition({ step: "a", after: [], when })).toBe("if input.amount > 100");
});

const sizes = new Map(data.map((one) => [one.name, graph.sizeOf(one)]));

test("steps moved by hand stand there, and the others keep clear of them", () => {
  const auto = graph.arranged(view, sizes).places;
  const [x, y] = auto.get("pay")!;
  const { places } = graph.arranged({ ...view, positions: { create: [x, y] } }, sizes);
  expect(places.get("create")).toEqual([x, y]);
  expect(places.get("pay")![1]).toBeGreaterThanOrEqual(y + sizes.get("create")!.height);
});

test("an arrow goes round a step between its ends, while these stand where the layout put them", () => {
  const steps = [
    { step: "a", after: [] },
    { step: "b", after: ["a"] },
    { step: "c", after: ["a", "b"] },
  ];
  const row = { saga: "row", steps };
  const sized = new Map(steps.map(({ step }) => [step, { width: 200, height: 60, middle: 30 }]));
  const shown = { whole: row, at: [], draft: row, positions: {} };
  const { places, ways } = graph.arranged(shown, sized);
  const middle = places.get("b")![1] + 30;
  const [way] = [...ways.values()];
  expect([...ways.keys()]).toEqual([JSON.stringify(["a", "c"])]);
  expect(way!.some(([, y]) => Math.abs(y - middle) > 30)).toBe(true);
  const moved = graph.arranged({ ...shown, positions: { a: [0, 300] } }, sized);
  expect(moved.ways.size).toBe(0);
});

test("a step dropped onto another one stands beneath it", () => {
  const nodes = [graph.stepNode(of("pay"), [0, 0])];
  expect(graph.free([300, 0], nodes)).toEqual([300, 0]);
  const [x, y] = graph.free([50, 10], nodes);
  expect([x, y >= nodes[0]!.height!]).toEqual([50, true]);
});

test("the line of the pivot stands between it and what follows", () => {
  const { places } = graph.arranged(view, sizes);
  const nodes = data.map((one) => graph.stepNode(one, places.get(one.name)!));
  const line = graph.pivotLine(nodes)!;
  expect(line.x).toBeGreaterThan(places.get("way")![0] + graph.WIDTH);
  expect(line.x).toBeLessThan(places.get("air")![0]);
  expect(graph.pivotLine(nodes.filter(({ id }) => id !== "way"))).toBeNull();
});

test("arrow keys lead to the nearest step ahead", () => {
  const { places } = graph.arranged(view, sizes);
  const nodes = data.map((one) => graph.stepNode(one, places.get(one.name)!));
  expect(graph.neighbour(nodes, "create", "right")).toBe("pay");
  expect(graph.neighbour(nodes, "pay", "left")).toBe("create");
  expect(graph.neighbour(nodes, "create", "left")).toBeNull();
  expect(["air", "insure"]).toContain(graph.neighbour(nodes, "way", "right"));
  expect(graph.neighbour(nodes, undefined, "right")).toBe("create");
});

test("a search finds steps by name, service and what they call", () => {
  const names = (text: string) => graph.found(draft, text).map(({ step }) => step);
  expect(names("BANK")).toEqual(["pay"]);
  expect(names("cancel")).toEqual(["create"]);
  expect(names("by_w")).toEqual(["way"]);
  expect(names(" ")).toEqual([]);
});

test("what a text has in a wrong form is drawn as far as it goes", () => {
  const odd = {
    saga: "odd",
    steps: [
      {
        step: "a",
        after: ["a", "gone"],
        retry: 3,
        wait: "x",
        saga: 5,
        service: 7,
        when: [1],
        action: {},
      },
      {
        step: "constructor",
        after: ["a"],
        branch: ["way"],
        for_each: [],
        compensation: [2],
        timeout: "x",
      },
      { step: "__proto__", after: [], branch: "x" },
    ],
  } as unknown as Draft;
  const wrong = { draft: odd, kinds: {}, problems: [] } as unknown as State;
  const shown = graph.stepData({ whole: odd, at: [], draft: odd, state: wrong }, new Map());
  expect(shown.map(({ name, kind }) => [name, kind])).toEqual([
    ["a", "plain"],
    ["constructor", "compensatable"],
    ["__proto__", "plain"],
  ]);
  const sized = new Map(shown.map((one) => [one.name, graph.sizeOf(one)]));
  const { places } = graph.arranged({ whole: odd, at: [], draft: odd, positions: {} }, sized);
  expect(places.size).toBe(3);
  expect(graph.edgesOf(odd).map(({ source, target }) => [source, target])).toEqual([
    ["a", "a"],
    ["a", "constructor"],
  ]);
});
