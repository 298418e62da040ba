/** An arrow that goes by some points, so as not to run through the steps between its ends. */
import { BaseEdge, type Edge, type EdgeProps } from "@xyflow/react";
import type { Point } from "./layout";

export type Way = Edge<{ way: Point[] }, "way">;

export function WayEdge({ data, sourceX, sourceY, targetX, targetY, ...rest }: EdgeProps<Way>) {
  const way = data?.way ?? [];
  const points: Point[] = [[sourceX, sourceY], ...way, [targetX, targetY]];
  const [labelX, labelY] = way[Math.floor(way.length / 2)] ?? points[0]!;
  const { label, labelShowBg, labelBgPadding, labelBgBorderRadius, markerEnd, interactionWidth } =
    rest;
  return (
    <BaseEdge
      path={curve(points)}
      {...{ labelX, labelY, label, labelShowBg, labelBgPadding, labelBgBorderRadius }}
      {...{ markerEnd, interactionWidth }}
    />
  );
}

/** Through every point, level at each. */
function curve([start, ...points]: Point[]): string {
  let [x, y] = start!;
  const parts = points.map(([nextX, nextY]) => {
    const half = (x + nextX) / 2;
    const part = `C${half} ${y} ${half} ${nextY} ${nextX} ${nextY}`;
    [x, y] = [nextX, nextY];
    return part;
  });
  return `M${start!.join(" ")}${parts.join("")}`;
}
