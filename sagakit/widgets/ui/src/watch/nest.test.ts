import { expect, it } from "vitest";
import type { GraphNode } from "../watching";
import { planOf } from "./nest";

function node(path: string, inside: number, more: Partial<GraphNode> = {}): GraphNode {
  const name = path.split("/").at(-1)!;
  return {
    path,
    name,
    inside,
    kind: "compensatable",
    service: "",
    compensation: "undo",
    notes: [],
    holds: "",
    more: 0,
    retried: false,
    ...more,
  };
}

const NODES = [
  node("order", -1),
  node("payment", -1, { holds: "saga payment, 4 steps", more: 2 }),
  node("payment/authorize", 1),
  node("payment/capture", 1),
  node("ship", -1),
];
const EDGES: [number, number][] = [
  [0, 1],
  [2, 3],
  [1, 4],
];

it("puts what a step holds into a frame with it, clear of everything else", () => {
  const { nodes, frames } = planOf(NODES, EDGES);
  expect(frames).toHaveLength(1);
  const { x, y, width, height, words } = frames[0]!;
  const isIn = nodes.map(
    ({ position, width: w, height: h }) =>
      position.x >= x &&
      position.y >= y &&
      position.x + w! <= x + width &&
      position.y + h! <= y + height,
  );
  expect(isIn).toEqual([false, true, true, true, false]);
  expect(nodes[0]!.position.x + nodes[0]!.width!).toBeLessThan(x);
  expect(nodes[4]!.position.x).toBeGreaterThan(x + width);
  expect(words).toBe("and 2 more steps");
});

it("sets steps from left to right by what they come after, under their paths", () => {
  const { nodes, edges } = planOf(NODES, EDGES);
  expect(nodes.map(({ id }) => id)).toEqual(NODES.map(({ path }) => path));
  expect(nodes[2]!.position.x).toBeLessThan(nodes[3]!.position.x);
  expect(edges.map(({ source, target }) => [source, target])).toEqual([
    ["order", "payment"],
    ["payment/authorize", "payment/capture"],
    ["payment", "ship"],
  ]);
});

it("shows as many notes as there is room for, and the others on hovering", () => {
  const [shown] = planOf(
    [node("a", -1, { notes: ["3 attempts", "timeout 2 s", "breaker"] })],
    [],
  ).nodes;
  expect(shown!.data.badges.map(({ text, title }) => [text, title])).toEqual([
    ["3 attempts", "3 attempts"],
    ["+ 2", "timeout 2 s, breaker"],
  ]);
});

it("leads arrows past a frame that stands above one of their ends", () => {
  const nodes = [...NODES, node("reserve", -1)];
  const { frames, edges } = planOf(nodes, [...EDGES, [0, 5], [5, 4]]);
  const { x, width } = frames[0]!;
  const ways = edges.slice(-2).map(({ data }) => (data as { way: [number, number][] }).way);
  expect(ways[0]!.map(([at]) => at < x)).toEqual([true]);
  expect(ways[1]!.map(([at]) => at > x + width)).toEqual([true]);
});
