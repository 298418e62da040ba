/** The steps of a film as boxes: those that a step holds stand in a frame beneath it. No React. */
import type { Edge } from "@xyflow/react";
import { MarkerType } from "@xyflow/react";
import { sizeOf, stepNode, type Badge, type StepData, type StepNode } from "../graph";
import { layout, type Point, type Size } from "../layout";
import type { Kind, StepDraft } from "../protocol";
import type { GraphNode } from "../watching";

const PAD = 16; // around what a frame holds
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
  const groups = new Map<number, Map<string, Point>>();

  const measure = (group: number): { width: number; height: number } => {
    const members = inside.get(group) ?? [];
    for (const one of members) sizes.set(one, inside.has(one) ? framed(sizeOf(data[one]!), measure(one)) : sizeOf(data[one]!));
    const drafts = members.map((one): StepDraft => ({ step: String(one), after: (before.get(one) ?? []).map(String) }));
    const places = layout(drafts, ({ step }) => sizes.get(Number(step))!);
    groups.set(group, shifted(places));
    const ends = [...groups.get(group)!].map(([key, [x, y]]): Point => [x + sizes.get(Number(key))!.width, y + sizes.get(Number(key))!.height]);
    return { width: Math.max(0, ...ends.map(([x]) => x)), height: Math.max(0, ...ends.map(([, y]) => y)) };
  };
  measure(-1);

  const drawn: StepNode[] = [];
  const frames: Frame[] = [];
  const place = (group: number, [left, top]: Point): void => {
    for (const [key, [x, y]] of groups.get(group) ?? []) {
      const number = Number(key);
      const [atX, atY] = [left + x, top + y];
      const isFramed = inside.has(number);
      const { width, height } = sizes.get(number)!;
      if (isFramed) frames.push({ node: number, x: atX, y: atY, width, height, words: moreIn(nodes[number]!) });
      const own = stepNode(data[number]!, isFramed ? [atX + PAD, atY + PAD] : [atX, atY]);
      drawn[number] = { ...own, id: nodes[number]!.path };
      if (isFramed) place(number, [atX + PAD, atY + PAD + sizeOf(data[number]!).height + GAP]);
    }
  };
  place(-1, [0, 0]);
  return { nodes: drawn, frames, edges: edges.map(([from, to]) => edge(nodes[from]!.path, nodes[to]!.path)) };
}

function framed(own: Size, inner: { width: number; height: number }): Size {
  return {
    width: Math.max(own.width, inner.width) + 2 * PAD,
    height: own.height + GAP + inner.height + 2 * PAD,
    middle: own.middle + PAD,
  };
}

/** The same places, the first of them at 0, 0. */
function shifted(places: Map<string, Point>): Map<string, Point> {
  const all = [...places.values()];
  const x = Math.min(...all.map(([one]) => one));
  const y = Math.min(...all.map(([, one]) => one));
  return new Map([...places].map(([key, [left, top]]) => [key, [left - x, top - y]]));
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
  if (rest.length > 0) badges.push({ icon: "note", text: `+ ${rest.length}`, title: rest.join(", ") });
  return badges;
}

function edge(from: string, to: string): Edge {
  return {
    id: JSON.stringify([from, to]),
    source: from,
    target: to,
    className: "sk-edge",
    markerEnd: { type: MarkerType.ArrowClosed, width: 18, height: 18, color: "var(--sk-edge)" },
    focusable: false,
  };
}
