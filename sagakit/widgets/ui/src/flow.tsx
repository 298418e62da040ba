/** What every canvas has: React Flow kept quiet, the pivot line, and where it is looked at first. */
import { useMemo } from "react";
import {
  getViewportForBounds,
  ViewportPortal,
  type ReactFlowProps,
  type Rect,
  type Viewport,
} from "@xyflow/react";
import { pivotLine } from "./graph";

/** It takes no keys, and leaves the wheel to the notebook; the sheet of keys names it. */
export const QUIET = {
  minZoom: 0.1,
  preventScrolling: false,
  zoomOnDoubleClick: false,
  deleteKeyCode: null,
  panActivationKeyCode: null,
  zoomActivationKeyCode: null,
  nodesFocusable: false,
  edgesFocusable: false,
  disableKeyboardA11y: true,
  proOptions: { hideAttribution: true },
} satisfies ReactFlowProps;

/** What stands left of the line is undone when a step fails; what stands right of it never is. */
export function PivotLine({ nodes }: { nodes: Parameters<typeof pivotLine>[0] }) {
  const line = useMemo(() => pivotLine(nodes), [nodes]);
  if (!line) return null;
  const { x, top, bottom, right } = line;
  return (
    <ViewportPortal>
      <div className="sk-beyond" style={{ left: x, top, width: right - x, height: bottom - top }} />
      <div className="sk-pivot-line" style={{ left: x, top, height: bottom - top }}>
        <span className="sk-before">◂ undone on failure</span>
        <span className="sk-after-pivot">nothing is undone ▸</span>
      </div>
    </ViewportPortal>
  );
}

/**
 * All of a box; but where it would be too small to read, its beginning.
 *
 * @param least the smallest zoom.
 * @param room px that stay free around it.
 */
export function viewportOf(
  box: Rect,
  [width, height]: readonly [number, number],
  least: number,
  room: number,
): Viewport {
  const whole = getViewportForBounds(box, width, height, QUIET.minZoom, 1, `${room}px`);
  if (whole.zoom >= least) return whole;
  const y = height / 2 - (box.y + box.height / 2) * least;
  return { x: room - box.x * least, y, zoom: least };
}
