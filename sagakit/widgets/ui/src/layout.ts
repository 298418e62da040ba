/** Where the steps stand: from left to right by what they come after, as dagre places them. */
import { Graph, layout as dagre } from "@dagrejs/dagre";
import type { StepDraft } from "./protocol";

export type Point = [number, number];
export interface Size {
  width: number;
  height: number;
  middle: number; // how far down its arrows meet it
}

// of dagre's rankers the one that takes half the time at 200 steps and draws them as well
const STYLE = { rankdir: "LR", ranker: "tight-tree", nodesep: 26, ranksep: 52 } as const;

export interface Layout {
  places: Map<string, Point>; // the top left corner of every step
  ways: Map<string, Point[]>; // by `arrow`: what an arrow goes by, so as not to run through a step
}

/** What an arrow is called. */
export function arrow(before: string, after: string): string {
  return JSON.stringify([before, after]);
}

/** Where steps and arrows go; `label` says how wide the words on an arrow are. */
export function layout(
  steps: StepDraft[],
  size: (step: StepDraft) => Size,
  label: (before: string, step: StepDraft) => number = () => 0,
): Layout {
  const graph = new Graph();
  graph.setGraph({ ...STYLE });
  graph.setDefaultEdgeLabel(() => ({}));
  const boxes = new Map(steps.map((step) => [step.step, box(size(step))]));
  for (const [name, one] of boxes) graph.setNode(id(name), { ...one });
  for (const step of steps) {
    for (const before of step.after ?? []) {
      if (!boxes.has(before)) continue;
      const words = { width: label(before, step), height: 20, labelpos: "c" };
      graph.setEdge(id(before), id(step.step), words.width > 0 ? words : {});
    }
  }
  dagre(graph);
  const centres = new Map(
    steps.map(({ step }) => {
      const { x, y } = graph.node(id(step));
      return [step, [x, y] as Point];
    }),
  );
  for (const twins of alike(steps)) restack(twins, centres, boxes);
  const places = steps.map((step) => {
    const [x, y] = centres.get(step.step)!;
    const { width, middle } = size(step);
    return [step.step, [x - width / 2, y - middle] as Point] as const;
  });
  return { places: new Map(places), ways: detours(steps, centres, boxes, graph) };
}

/** The ways of the arrows that would run through a step if they went straight. */
function detours(
  steps: StepDraft[],
  centres: Map<string, Point>,
  boxes: Map<string, { width: number; height: number }>,
  graph: Graph,
): Map<string, Point[]> {
  const ways = new Map<string, Point[]>();
  for (const { step, after } of steps) {
    for (const before of after ?? []) {
      const [from, to] = [centres.get(before), centres.get(step)!];
      if (!from || !steps.some((other) => isBetween(other.step, before, step))) continue;
      const points: { x: number; y: number }[] = graph.edge(id(before), id(step)).points ?? [];
      const inner = points.slice(1, -1).filter(({ x }) => x > from[0] && x < to[0]);
      ways.set(
        arrow(before, step),
        inner.map(({ x, y }) => [x, y]),
      );
    }
  }
  return ways;

  function isBetween(name: string, before: string, after: string): boolean {
    if (name === before || name === after) return false;
    const [[x, y], [x1, y1], [x2, y2]] = [name, before, after].map((one) => centres.get(one)!) as [
      Point,
      Point,
      Point,
    ];
    if (x <= x1 || x >= x2) return false;
    const height = y1 + ((y2 - y1) * (x - x1)) / (x2 - x1); // of the arrow, where the step is
    return Math.abs(height - y) < boxes.get(name)!.height / 2 + ROOM;
  }
}

const ROOM = 4; // between an arrow and a step that it passes

/** dagre keeps what it knows in plain objects, in which "constructor" is there already. */
function id(name: string): string {
  return `step ${name}`;
}

/** As high above its middle as beneath, so that what follows in a row stands in a straight line. */
function box({ width, height, middle }: Size): { width: number; height: number } {
  return { width, height: 2 * Math.max(middle, height - middle) };
}

/** The branches between the same steps: their order is free. */
function alike(steps: StepDraft[]): string[][] {
  const followers = new Map<string, string[]>(steps.map(({ step }) => [step, []]));
  for (const { step, after } of steps)
    for (const name of after ?? []) followers.get(name)?.push(step);
  const groups = new Map<string, string[]>();
  for (const { step, after } of steps) {
    const key = JSON.stringify([[...(after ?? [])].sort(), followers.get(step)]);
    groups.set(key, [...(groups.get(key) ?? []), step]);
  }
  return [...groups.values()].filter((group) => group.length > 1);
}

/** Puts such branches in the order that the saga has them in, where nothing stands among them. */
function restack(
  names: string[],
  centres: Map<string, Point>,
  boxes: Map<string, { height: number }>,
): void {
  const at = (name: string) => centres.get(name)!;
  const high = (name: string) => boxes.get(name)!.height;
  const x = at(names[0]!)[0];
  const top = Math.min(...names.map((name) => at(name)[1] - high(name) / 2));
  const bottom = Math.max(...names.map((name) => at(name)[1] + high(name) / 2));
  const isAmong = ([name, [otherX, y]]: [string, Point]) =>
    otherX === x && y > top && y < bottom && !names.includes(name);
  if (names.some((name) => at(name)[0] !== x) || [...centres].some(isAmong)) return;
  const room = bottom - top - names.reduce((sum, name) => sum + high(name), 0);
  let y = top;
  for (const name of names) {
    centres.set(name, [x, y + high(name) / 2]);
    y += high(name) + room / (names.length - 1);
  }
}
