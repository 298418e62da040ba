/** The saga that is watched: the designer's boxes and arrows, in the colours of their states. */
import { memo, useCallback, useEffect, useMemo, useRef, type KeyboardEvent } from "react";
import {
  Background,
  Controls,
  ReactFlow,
  ReactFlowProvider,
  ViewportPortal,
  getNodesBounds,
  getViewportForBounds,
  useReactFlow,
  type Node,
} from "@xyflow/react";
import { KIND_WORDS, neighbour, pivotLine, WIDTH, type Direction } from "../graph";
import { StepBox, type Seen, type ShownStep } from "../step-node";
import { movesLess } from "../theme";
import type { GraphNode, Legend, Look } from "../watching";
import { WayEdge } from "../way-edge";
import { paint } from "./look";
import { planOf, type Plan } from "./nest";

interface Props {
  nodes: GraphNode[];
  edges: [number, number][];
  states: string[]; // by node
  legend: Legend;
  struck: Map<string, string>; // by path: what goes wrong there, in words
  now: string; // the path of the step whose event is shown
  asks?: string; // what Enter on a step does, in words
  selected?: string; // a path
  onStep?(path: string): void;
}

const NODE_TYPES = { step: StepBox };
const EDGE_TYPES = { way: WayEdge };
const OPTIONS = { hideAttribution: true };
const LEAST = 0.62; // smaller than this, words cannot be read
const EDGE = 12;
const DIRECTIONS: Record<string, Direction> = {
  ArrowLeft: "left",
  ArrowRight: "right",
  ArrowUp: "up",
  ArrowDown: "down",
};

export const Graph = memo(function Graph(props: Props) {
  return (
    <ReactFlowProvider>
      <Flow {...props} />
    </ReactFlowProvider>
  );
});

function Flow(props: Props) {
  const { nodes, edges, states, onStep, now, asks } = props;
  const plan = useMemo(() => planOf(nodes, edges), [nodes, edges]);
  const shown = useShown(plan, props);
  const arrows = useArrows(plan, nodes, states);
  const frame = useRef<HTMLDivElement>(null);
  const { fit, bring, focus } = useSight(frame, plan, now);
  useEffect(() => bring(now), [bring, now]);
  const flow = useReactFlow();

  const onKeyDown = (event: KeyboardEvent) => {
    const from = (event.target as Element).closest<HTMLElement>(".react-flow__node")?.dataset.id;
    const to = DIRECTIONS[event.key];
    const keys: Record<string, () => void> = {
      "+": () => void flow.zoomIn(),
      "-": () => void flow.zoomOut(),
      "0": fit,
      ...(from && onStep ? { Enter: () => onStep(from), " ": () => onStep(from) } : {}),
    };
    const does = to ? () => focus(neighbour(plan.nodes, from, to)) : keys[event.key];
    if (!does || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    does();
  };
  const onNodeClick = useCallback((_: unknown, { id }: Node) => onStep?.(id), [onStep]);

  return (
    <div
      ref={frame}
      className="sk-canvas sk-watched"
      role="group"
      aria-label={`Steps, ${nodes.length}; arrow keys move between them${asks ? `, Enter: ${asks}` : ""}`}
      onKeyDown={onKeyDown}
    >
      <ReactFlow
        nodes={shown}
        edges={arrows}
        nodeTypes={NODE_TYPES}
        edgeTypes={EDGE_TYPES}
        onNodeClick={onNodeClick}
        nodesDraggable={false}
        nodesConnectable={false}
        nodesFocusable={false}
        edgesFocusable={false}
        elementsSelectable={false}
        minZoom={0.1}
        maxZoom={1.5}
        preventScrolling={false}
        zoomOnDoubleClick={false}
        panActivationKeyCode={null}
        zoomActivationKeyCode={null}
        disableKeyboardA11y
        proOptions={OPTIONS}
      >
        <Background gap={20} size={1.2} />
        <Frames plan={plan} />
        <Controls
          orientation="horizontal"
          showInteractive={false}
          showFitView={false}
          aria-label="Zoom"
        />
      </ReactFlow>
    </div>
  );
}

// -- boxes ----------------------------------------------------------------------------------------

/** The boxes; one that shows what it showed is the same object, so that it is not drawn anew. */
function useShown(
  plan: Plan,
  { nodes, states, legend, struck, now, selected, asks }: Props,
): ShownStep[] {
  const old = useRef(new Map<string, { key: string; plan: Plan; node: ShownStep }>());
  return useMemo(() => {
    const first = selected || now || nodes[0]?.path;
    return plan.nodes.map((node, i) => {
      const given = nodes[i]!;
      const path = given.path;
      const key = JSON.stringify([
        states[i],
        struck.get(path),
        path === now,
        path === selected,
        path === first,
        asks,
      ]);
      const before = old.current.get(path);
      if (before?.key === key && before.plan === plan) return before.node;
      const seen = seenOf(given, states[i]!, legend, struck.get(path) ?? "", path === now);
      const spoken = spokenOf(given, states[i]!, seen, asks);
      const shown: ShownStep = {
        ...node,
        zIndex: 1,
        selected: path === selected,
        data: {
          ...node.data,
          about: [seen.words, node.data.about].filter(Boolean).join(" · "),
          spoken,
          seen,
          first: path === first,
        },
      };
      old.current.set(path, { key, plan, node: shown });
      return shown;
    });
  }, [plan, nodes, states, legend, struck, now, selected, asks]);
}

/** A compensation's state is shown by the compensation, if the step has one. */
function seenOf(
  node: GraphNode,
  state: string,
  legend: Legend,
  struck: string,
  isNow: boolean,
): Seen {
  const look = legend.states[state];
  const isTwins = look?.on === "compensation" && node.compensation !== "";
  const own: Look | undefined = isTwins ? legend.parts.step : look;
  const undo = isTwins ? { glyph: look.glyph, words: state, paint: paint(look) } : null;
  return {
    glyph: isTwins ? "" : (look?.glyph ?? ""),
    words: isTwins ? "" : state,
    paint: paint(own),
    undo,
    struck,
    isNow,
  };
}

function spokenOf(node: GraphNode, state: string, { struck }: Seen, asks = ""): string {
  const parts = [
    node.path,
    state,
    KIND_WORDS[node.kind as keyof typeof KIND_WORDS],
    node.holds,
    node.compensation && `undone by ${node.compensation}`,
    ...node.notes,
    struck,
    asks && `Enter: ${asks}`,
  ];
  return parts.filter(Boolean).join("; ");
}

/** An arrow that has been gone along is stronger. */
function useArrows(plan: Plan, nodes: GraphNode[], states: string[]) {
  const untouched = states.map((state) => state === "pending").join();
  return useMemo(() => {
    const isPending = new Map(nodes.map(({ path }, i) => [path, states[i] === "pending"]));
    return plan.edges.map((one) =>
      isPending.get(one.target) ? one : { ...one, className: "sk-edge sk-gone" },
    );
    // `untouched` is all of the states that arrows depend on
  }, [plan, nodes, untouched]);
}

function Frames({ plan }: { plan: Plan }) {
  const line = useMemo(() => pivotLine(plan.nodes.filter(({ id }) => !id.includes("/"))), [plan]);
  return (
    <ViewportPortal>
      {line && (
        <>
          <div
            className="sk-beyond"
            style={{
              left: line.x,
              top: line.top,
              width: line.right - line.x,
              height: line.bottom - line.top,
            }}
          />
          <div
            className="sk-pivot-line"
            style={{ left: line.x, top: line.top, height: line.bottom - line.top }}
          >
            <span className="sk-before">◂ undone on failure</span>
            <span className="sk-after-pivot">nothing is undone ▸</span>
          </div>
        </>
      )}
      {plan.frames.map(({ node, x, y, width, height, words }) => (
        <div key={node} className="sk-frame" style={{ left: x, top: y, width, height }}>
          {words && <span>{words}</span>}
        </div>
      ))}
    </ViewportPortal>
  );
}

// -- what is in sight -------------------------------------------------------------------------------

function useSight(frame: { current: HTMLDivElement | null }, plan: Plan, now: string) {
  const flow = useReactFlow();
  const latest = useRef(plan);
  latest.current = plan;
  const latestNow = useRef(now);
  latestNow.current = now;
  const duration = () => (movesLess() ? 0 : 250);
  const sight = useMemo(() => {
    const size = () => [frame.current?.clientWidth ?? 0, frame.current?.clientHeight ?? 0] as const;
    const fit = (least = 0.1) => {
      const [width, height] = size();
      const { nodes, frames } = latest.current;
      if (width === 0 || nodes.length === 0) return;
      const bounds = getNodesBounds(nodes);
      const line = pivotLine(nodes);
      const top = Math.min(bounds.y, line?.top ?? bounds.y, ...frames.map(({ y }) => y));
      const right = Math.max(bounds.x + bounds.width, ...frames.map((one) => one.x + one.width));
      const bottom = Math.max(bounds.y + bounds.height, ...frames.map((one) => one.y + one.height));
      const box = { x: bounds.x, y: top, width: right - bounds.x, height: bottom - top };
      const whole = getViewportForBounds(box, width, height, 0.1, 1, "24px");
      const start = {
        x: 24 - box.x * least,
        y: height / 2 - (box.y + box.height / 2) * least,
        zoom: least,
      };
      void flow.setViewport(whole.zoom < least ? start : whole, {
        duration: least > 0.1 ? 0 : duration(),
      });
    };
    const bring = (path: string) => {
      const [width, height] = size();
      const node = latest.current.nodes.find(({ id }) => id === path);
      if (!node || width === 0) return;
      const { x, y, zoom } = flow.getViewport();
      const [left, top] = [node.position.x * zoom + x, node.position.y * zoom + y];
      const isIn =
        left >= EDGE &&
        top >= EDGE &&
        left + WIDTH * zoom <= width - EDGE &&
        top + node.height! * zoom <= height - EDGE;
      if (!isIn)
        void flow.setCenter(node.position.x + WIDTH / 2, node.position.y + node.height! / 2, {
          zoom,
          duration: duration(),
        });
    };
    const focus = (path: string | null) => {
      if (path === null) return;
      bring(path);
      frame.current
        ?.querySelector<HTMLElement>(`[data-id="${CSS.escape(path)}"] .sk-main`)
        ?.focus({ preventScroll: true });
    };
    const begin = () => {
      fit(LEAST);
      bring(latestNow.current);
    };
    return { fit: () => fit(), begin, bring, focus };
  }, [flow, frame]);
  // once there is room, and again when there is more or less of it
  useEffect(() => {
    const box = frame.current;
    if (!box) return;
    const observer = new ResizeObserver(sight.begin);
    observer.observe(box);
    return () => observer.disconnect();
  }, [frame, plan, sight]);
  return sight;
}
