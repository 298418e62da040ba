/** The saga that is watched: the designer's boxes and arrows, in the colours of their states. */
import {
  createContext,
  memo,
  useCallback,
  useContext,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
  type KeyboardEvent,
} from "react";
import {
  Background,
  BezierEdge,
  Controls,
  ReactFlow,
  ReactFlowProvider,
  ViewportPortal,
  getNodesBounds,
  useReactFlow,
  useStoreApi,
  type EdgeProps,
  type Node,
  type NodeProps,
} from "@xyflow/react";
import { PivotLine, QUIET, viewportOf } from "../flow";
import { KIND_WORDS, neighbour, pivotLine, WIDTH, type Direction } from "../graph";
import { StepBox, type Seen, type ShownStep } from "../step-node";
import { movesLess } from "../theme";
import type { GraphNode, Legend, Look } from "../watching";
import { WayEdge, type Way } from "../way-edge";
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
  const { nodes, edges, onStep, now, asks } = props;
  const plan = useMemo(() => planOf(nodes, edges), [nodes, edges]);
  const board = useBoard(plan, props);
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
      <BoardContext value={board}>
        <Drawing plan={plan} onNodeClick={onNodeClick} />
      </BoardContext>
    </div>
  );
}

const Drawing = memo(function Drawing({
  plan,
  onNodeClick,
}: {
  plan: Plan;
  onNodeClick(event: unknown, node: Node): void;
}) {
  const nodes = useMemo(() => plan.nodes.map((node) => ({ ...node, zIndex: 1 })), [plan]);
  const outer = useMemo(() => plan.nodes.filter(({ id }) => !id.includes("/")), [plan]);
  return (
    <ReactFlow
      nodes={nodes}
      edges={plan.edges}
      nodeTypes={NODE_TYPES}
      edgeTypes={EDGE_TYPES}
      onNodeClick={onNodeClick}
      {...QUIET}
      nodesDraggable={false}
      nodesConnectable={false}
      elementsSelectable={false}
      maxZoom={1.5}
    >
      <Background gap={20} size={1.2} />
      <PivotLine nodes={outer} />
      <Frames plan={plan} />
      <Controls
        orientation="horizontal"
        showInteractive={false}
        showFitView={false}
        aria-label="Zoom"
      />
    </ReactFlow>
  );
});

// -- boxes ----------------------------------------------------------------------------------------

/** How a step stands, as its box shows it. */
interface Stand {
  key: string; // what it was made of
  data: ShownStep["data"];
  selected: boolean;
  isGone: boolean; // it is no longer pending: the arrows to it have been gone along
}

/**
 * How the steps stand. Each box and each arrow asks for its own step: where another event is
 * shown, React Flow has nothing to do, which would go through the whole graph.
 */
class Board {
  private stands = new Map<string, Stand>();
  private readonly listeners = new Map<string, Set<() => void>>();

  get = (path: string): Stand | undefined => this.stands.get(path);

  subscribe(path: string, listener: () => void): () => void {
    const those = this.listeners.get(path) ?? new Set();
    this.listeners.set(path, those.add(listener));
    return () => those.delete(listener);
  }

  show(stands: Map<string, Stand>): void {
    const before = this.stands;
    this.stands = stands;
    for (const [path, those] of this.listeners)
      if (stands.get(path) !== before.get(path)) for (const listener of those) listener();
  }
}

const BoardContext = createContext(new Board());

function useStand(path: string): Stand | undefined {
  const board = useContext(BoardContext);
  const subscribe = useCallback(
    (listener: () => void) => board.subscribe(path, listener),
    [board, path],
  );
  return useSyncExternalStore(subscribe, () => board.get(path));
}

const Box = memo(function Box({ id, data }: NodeProps<ShownStep>) {
  const stand = useStand(id);
  return <StepBox data={stand?.data ?? data} selected={stand?.selected ?? false} />;
});

/** An arrow that has been gone along is stronger. */
const Arrow = memo(function Arrow(props: EdgeProps<Way>) {
  const stand = useStand(props.target);
  return (
    <g className={stand?.isGone ? "sk-gone" : undefined}>
      {props.data ? <WayEdge {...props} /> : <BezierEdge {...props} />}
    </g>
  );
});

const NODE_TYPES = { step: Box };
const EDGE_TYPES = { way: Arrow, default: Arrow };

function useBoard(plan: Plan, props: Props): Board {
  const { nodes, states, legend, struck, now, selected, asks } = props;
  const [board] = useState(() => new Board());
  const made = useRef<Plan>(null);
  const stands = useMemo(
    () =>
      standsOf(
        plan,
        { nodes, states, legend, struck, now, selected, asks },
        made.current === plan ? board.get : () => undefined,
      ),
    [board, plan, nodes, states, legend, struck, now, selected, asks],
  );
  useLayoutEffect(() => {
    made.current = plan;
    board.show(stands);
  }, [board, plan, stands]);
  return board;
}

/** How every step stands; what stands as before is the same object, so that it is not drawn anew. */
function standsOf(
  plan: Plan,
  { nodes, states, legend, struck, now, selected, asks }: Omit<Props, "edges">,
  before: (path: string) => Stand | undefined,
): Map<string, Stand> {
  const first = selected || now || nodes[0]?.path;
  const found = new Map<string, Stand>();
  nodes.forEach((node, i) => {
    const { path } = node;
    const [state, strikes] = [states[i]!, struck.get(path) ?? ""];
    const flags = [path === now, path === selected, path === first];
    const key = [state, strikes, ...flags, asks].join("\n");
    const old = before(path);
    if (old?.key === key) return found.set(path, old);
    const seen = seenOf(node, state, legend, strikes, path === now);
    const { data } = plan.nodes[i]!;
    found.set(path, {
      key,
      selected: path === selected,
      isGone: state !== "pending",
      data: {
        ...data,
        about: [seen.words, data.about].filter(Boolean).join(" · "),
        spoken: spokenOf(node, state, seen, asks),
        seen,
        first: path === first,
      },
    });
  });
  return found;
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

function Frames({ plan }: { plan: Plan }) {
  return (
    <ViewportPortal>
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
  const store = useStoreApi();
  const latest = useRef(plan);
  latest.current = plan;
  const latestNow = useRef(now);
  latestNow.current = now;
  const duration = () => (movesLess() ? 0 : 250);
  const sight = useMemo(() => {
    const size = () => [frame.current?.clientWidth ?? 0, frame.current?.clientHeight ?? 0] as const;
    const fit = (least = QUIET.minZoom) => {
      const [width, height] = size();
      const { nodes, frames } = latest.current;
      if (width === 0 || nodes.length === 0) return;
      const bounds = getNodesBounds(nodes);
      const line = pivotLine(nodes);
      const top = Math.min(bounds.y, line?.top ?? bounds.y, ...frames.map(({ y }) => y));
      const right = Math.max(bounds.x + bounds.width, ...frames.map((one) => one.x + one.width));
      const bottom = Math.max(bounds.y + bounds.height, ...frames.map((one) => one.y + one.height));
      const box = { x: bounds.x, y: top, width: right - bounds.x, height: bottom - top };
      const seen = viewportOf(box, [width, height], least, 24);
      void flow.setViewport(seen, { duration: least > QUIET.minZoom ? 0 : duration() });
    };
    const bring = (path: string) => {
      const { width, height } = store.getState(); // measured before: nothing is laid out for it
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
  }, [flow, store, frame]);
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
