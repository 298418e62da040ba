/** Where the steps stand: from left to right by what they come after, as dagre places them. */
import { Graph, layout as dagre } from "@dagrejs/dagre";
import type { StepDraft } from "./protocol";

export type Point = [number, number];
export interface Size {
  width: number;
  height: number;
}

/** The top left corner of every step. */
export function layout(steps: StepDraft[], size: (step: StepDraft) => Size): Map<string, Point> {
  const graph = new Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 28, ranksep: 72 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const step of steps) graph.setNode(step.step, { ...size(step) });
  for (const step of steps) {
    for (const before of step.after ?? []) {
      if (graph.hasNode(before)) graph.setEdge(before, step.step);
    }
  }
  dagre(graph);
  return new Map(
    steps.map(({ step }) => {
      const { x, y, width, height } = graph.node(step);
      return [step, [x - width / 2, y - height / 2]];
    }),
  );
}
