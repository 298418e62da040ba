/** The steps of a film as boxes: those that a step holds stand in a frame beneath it. No React. */
import type { Edge } from "@xyflow/react";
import {
  edgeBetween,
  mainHeight,
  sizeOf,
  stepNode,
  type Badge,
  type StepData,
  type StepNode,
} from "../graph";
import { arrow, layout, type Layout, type Point, type Size } from "../layout";
import type { Kind, StepDraft } from "../protocol";
import type { GraphNode } from "../watching";

const PAD = 16; // around what a frame holds
const CLEAR = 10; // between a frame and an arrow that goes past it
const GAP = 14; // between a step and those that it holds

export interface Frame {
  node: number;
  x: number;
  y: number;
  width: number;
  height: number;
  words: string; // what is not drawn
}

export interface Plan {
  nodes: StepNode[]; // by number; the id is the step's path
  frames: Frame[]; // the outer ones first
  edges: Edge[];
}

/** Where every step stands, as on the designer's canvas. */
export function planOf(nodes: GraphNode[], edges: [number, number][]): Plan {
  const data = nodes.map(dataOf);
  const inside = new Map<number, number[]>();
  nodes.forEach((node, i) => inside.set(node.inside, [...(inside.get(node.inside) ?? []), i]));
  const before = new Map<number, number[]>();
  for (const [from, to] of edges) before.set(to, [...(before.get(to) ?? []), from]);
  const sizes = new Map<number, Size>();
  const groups = new Map<number, Layout>();

  const measure = (group: number): { width: number; height: number } => {
    const members = inside.get(group) ?? [];
    for (const one of members)
      sizes.set(
        one,
        inside.has(one) ? framed(sizeOf(data[one]!), measure(one)) : sizeOf(data[one]!),
      );
    const drafts = members.map((one): StepDraft => ({
      step: String(one),
      after: (before.get(one) ?? []).map(String),
    }));
    const laidOut = shifted(layout(drafts, ({ step }) => sizes.get(Number(step))!));
    groups.set(group, laidOut);
    const ends = [...laidOut.places].map(([key, [x, y]]): Point => [
      x + sizes.get(Number(key))!.width,
      y + sizes.get(Number(key))!.height,
    ]);
    return {
      width: Math.max(0, ...ends.map(([x]) => x)),
      height: Math.max(0, ...ends.map(([, y]) => y)),
    };
  };
  measure(-1);

  const drawn: StepNode[] = [];
  const frames: Frame[] = [];
  const ways: Layout["ways"] = new Map();
  const place = (group: number, [left, top]: Point): void => {
    const laidOut = groups.get(group)!;
    for (const [key, way] of laidOut.ways)
      ways.set(
        key,
        way.map(([x, y]) => [left + x, top + y]),
      );
    for (const [key, [x, y]] of laidOut.places) {
      const number = Number(key);
      const [atX, atY] = [left + x, top + y];
      const isFramed = inside.has(number);
      const { width, height } = sizes.get(number)!;
      if (isFramed)
        frames.push({ node: number, x: atX, y: atY, width, height, words: moreIn(nodes[number]!) });
      const own = stepNode(data[number]!, isFramed ? [atX + PAD, atY + PAD] : [atX, atY]);
      drawn[number] = { ...own, id: nodes[number]!.path };
      if (isFramed) place(number, [atX + PAD, atY + PAD + sizeOf(data[number]!).height + GAP]);
    }
  };
  place(-1, [0, 0]);
  const arrows = edges.map(([from, to]) => {
    const [start, end] = [drawn[from]!, drawn[to]!];
    const others = frames.filter(
      ({ node }) => node !== from && nodes[node]!.inside === nodes[from]!.inside,
    );
    const way = ways.get(arrow(String(from), String(to))) ?? beside(start, end, others);
    return edgeBetween(start.id, end.id, way);
  });
  return { nodes: drawn, frames, edges: arrows };
}

/**
 * The way of an arrow past frames that stand above or beneath one of its ends and reach farther
 * out than that: level with the end until it is clear of them.
 */
function beside(from: StepNode, to: StepNode, frames: Frame[]): Point[] {
  const start = from.position.x + from.width!;
  const end = to.position.x;
  const level = ({ position, data }: StepNode) => position.y + mainHeight(data) / 2;
  const isAfter = ({ x, width }: Frame) => x > start && x < end && end < x + width;
  const isBefore = ({ x, width }: Frame) => x < start && start < x + width && x + width < end;
  const after = frames.filter(isAfter).map(({ x }): Point => [x - CLEAR, level(to)]);
  const before = frames
    .filter(isBefore)
    .map(({ x, width }): Point => [x + width + CLEAR, level(from)]);
  return [...before.slice(0, 1), ...after.slice(0, 1)];
}

function framed(own: Size, inner: { width: number; height: number }): Size {
  return {
    width: Math.max(own.width, inner.width) + 2 * PAD,
    height: own.height + GAP + inner.height + 2 * PAD,
    middle: own.middle + PAD,
  };
}

/** The same, the first of the places at 0, 0. */
function shifted({ places, ways }: Layout): Layout {
  const all = [...places.values()];
  const [left, top] = [Math.min(...all.map(([x]) => x)), Math.min(...all.map(([, y]) => y))];
  const moved = ([x, y]: Point): Point => [x - left, y - top];
  return {
    places: new Map([...places].map(([key, place]) => [key, moved(place)])),
    ways: new Map([...ways].map(([key, way]) => [key, way.map(moved)])),
  };
}

function moreIn({ more }: GraphNode): string {
  return more > 0 ? `and ${more} more ${more === 1 ? "step" : "steps"}` : "";
}

function dataOf(node: GraphNode): StepData {
  return {
    name: node.name,
    kind: node.kind as Kind,
    icon: node.holds === "" ? "step" : node.holds.startsWith("for each") ? "for_each" : "saga",
    about: node.service || node.holds,
    badges: badgesOf(node),
    undo: node.compensation || null,
    problems: 0,
    worst: null,
    opens: false,
    spoken: "",
  };
}

/** As many notes as there is room for. */
function badgesOf({ notes }: GraphNode): Badge[] {
  const shown = notes.slice(0, notes.length > 2 ? 1 : 2);
  const badges: Badge[] = shown.map((text) => ({ icon: "note", text, title: text }));
  const rest = notes.slice(shown.length);
  if (rest.length > 0)
    badges.push({ icon: "note", text: `+ ${rest.length}`, title: rest.join(", ") });
  return badges;
}
