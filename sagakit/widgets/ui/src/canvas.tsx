/** The saga in view as boxes and arrows, and everything that mouse and keyboard do to them. */
import {
  useCallback,
  useEffect,
  useImperativeHandle,
  useMemo,
  useRef,
  useState,
  type ClipboardEvent,
  type DragEvent,
  type KeyboardEvent,
  type Ref,
} from "react";
import {
  Background,
  Controls,
  MiniMap,
  ReactFlow,
  ReactFlowProvider,
  getNodesBounds,
  useReactFlow,
  type Connection,
  type Edge,
  type EdgeChange,
  type FinalConnectionState,
  type Node,
  type NodeChange,
} from "@xyflow/react";
import {
  add,
  connect,
  disconnect,
  duplicate,
  insert,
  objection,
  remove,
  rename,
  type Loose,
} from "./edits";
import { PivotLine, QUIET, viewportOf } from "./flow";
import * as graph from "./graph";
import { Icon } from "./icons";
import type { Layout } from "./layout";
import { DRAGGED } from "./palette";
import { keyOf, trail } from "./places";
import type { PaletteEntry } from "./protocol";
import { same } from "./same";
import { NodeActionsContext, StepBox, type NodeActions, type ShownStep } from "./step-node";
import { counted, type Positions, type Snapshot, type Store } from "./store";
import { movesLess } from "./theme";
import { WayEdge } from "./way-edge";

export interface CanvasHandle {
  fit(): void;
  show(name: string): void; // selects it, moves to it, focuses it
  add(entry: PaletteEntry): void; // after what is selected
}

interface Props {
  store: Store;
  snapshot: Snapshot;
  handle: Ref<CanvasHandle>;
  onInspect(): void;
  onSearch(): void;
  onHelp(): void;
  onMend(): void; // to the text that cannot be read
}

const EDGE = 12; // what is nearer to the canvas's edge than this is not quite in sight
const LEGIBLE = 0.5; // the zoom from which on a step's name can be read
const EMPTY = "empty";
const NODE_TYPES = { step: StepBox };
const EDGE_TYPES = { way: WayEdge };
const OVERVIEW = { width: 136, height: 84 };
const STILL: Positions = {};
const isTyping = (target: EventTarget) =>
  target instanceof Element &&
  target.closest("input, textarea, select, [contenteditable=true]") !== null;
const stepUnder = (target: Element | null) =>
  target?.closest<HTMLElement>(".react-flow__node")?.dataset.id ?? null;
const edgeUnder = (target: Element | null) =>
  target?.closest<SVGElement>(".react-flow__edge")?.dataset.id ?? null;
const part = (entry: PaletteEntry) => entry.step as Loose;
const named = (names: string[]) => (names.length === 1 ? `'${names[0]}'` : counted(names.length));

export function Canvas(props: Props) {
  return (
    <ReactFlowProvider>
      <Flow {...props} />
    </ReactFlowProvider>
  );
}

function Flow({ store, snapshot, handle, onInspect, onSearch, onHelp, onMend }: Props) {
  const { draft } = snapshot;
  const flow = useReactFlow();
  const frame = useRef<HTMLDivElement>(null);
  const [drag, setDrag] = useState<Positions>(STILL);
  const [edgesChosen, setEdgesChosen] = useState<string[]>([]);
  const [renaming, setRenaming] = useState<string | null>(null);
  const [bubble, setBubble] = useState<{ text: string; x: number; y: number } | null>(null);
  const [nodes, ways] = useNodes(snapshot, drag, renaming);
  const edges = useEdges(snapshot, ways, edgesChosen);
  const view = useView(frame, nodes, snapshot);

  // -- adding -----------------------------------------------------------------------------

  const addAfter = useCallback(
    (entry: PaletteEntry) => {
      const { draft: now, selected } = store.get();
      const last = now.steps.at(-1)?.step;
      const after = selected.length > 0 ? selected : last === undefined ? [] : [last];
      const done = store.add(`Add ${entry.label}`, (one) => add(one, part(entry), after));
      if (done) requestAnimationFrame(() => view.focus(store.get().selected[0]));
    },
    [store, view],
  );

  useImperativeHandle(handle, () => ({ fit: view.fit, show: view.show(store), add: addAfter }), [
    view,
    store,
    addAfter,
  ]);

  const onDrop = (event: DragEvent) => {
    const text = event.dataTransfer.getData(DRAGGED);
    if (!text) return;
    event.preventDefault();
    markDrop(frame.current, null);
    const entry = JSON.parse(text) as PaletteEntry;
    const target = document.elementFromPoint(event.clientX, event.clientY);
    const [step, edge] = [stepUnder(target), edgeUnder(target)];
    const label = `Add ${entry.label}`;
    if (step !== null) {
      store.add(label, (one) => add(one, part(entry), [step]));
    } else if (edge !== null) {
      const [from, to] = JSON.parse(edge) as [string, string];
      store.add(label, (one) => insert(one, part(entry), from, to));
    } else {
      store.add(label, (one) => add(one, part(entry)), [
        view.placeAt(event.clientX, event.clientY),
      ]);
    }
    view.focus(store.get().selected[0]);
  };

  const onDragOver = (event: DragEvent) => {
    if (!event.dataTransfer.types.includes(DRAGGED)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    const target = document.elementFromPoint(event.clientX, event.clientY);
    markDrop(frame.current, target?.closest(".react-flow__node, .react-flow__edge") ?? null);
  };

  // -- moving, selecting --------------------------------------------------------------------

  const onNodesChange = useCallback(
    (changes: NodeChange<ShownStep>[]) => {
      const moved = changes.filter(
        (one) => one.type === "position" && one.dragging && one.position,
      );
      if (moved.length > 0)
        setDrag((now) => ({ ...now, ...Object.fromEntries(moved.map(placeOf)) }));
      const chosen = changes.filter((one) => one.type === "select");
      if (chosen.length === 0) return;
      const names = new Set(store.get().selected);
      for (const { id, selected } of chosen) {
        if (selected) names.add(id);
        else names.delete(id);
      }
      store.select([...names]);
    },
    [store],
  );

  const onEdgesChange = useCallback((changes: EdgeChange[]) => {
    const chosen = changes.filter((one) => one.type === "select");
    if (chosen.length === 0) return;
    setEdgesChosen((now) => {
      const ids = new Set(now);
      for (const { id, selected } of chosen) {
        if (selected) ids.add(id);
        else ids.delete(id);
      }
      return [...ids];
    });
  }, []);

  const onMoved = useCallback(
    (_: unknown, __: unknown, moved: Node[]) => {
      const places = moved.map(({ id, position }) => [
        id,
        [Math.round(position.x), Math.round(position.y)],
      ]);
      store.move(`Move ${named(moved.map(({ id }) => id))}`, Object.fromEntries(places));
      setDrag(STILL);
    },
    [store],
  );

  // -- connecting ---------------------------------------------------------------------------

  const join = useCallback(
    (from: string, to: string, at?: { x: number; y: number }) => {
      const done = store.apply(`'${to}' runs after '${from}'`, (one) => connect(one, from, to));
      const box = frame.current?.getBoundingClientRect();
      if (done || !at || !box) return;
      const text = store.get().notice!.text;
      setBubble({
        text,
        x: Math.min(Math.max(at.x - box.x, 120), box.width - 120),
        y: at.y - box.y,
      });
    },
    [store],
  );

  const isValid = useCallback(
    ({ source, target }: Connection | Edge) =>
      objection(store.get().draft, source, target) === null,
    [store],
  );

  const onConnectEnd = useCallback(
    (
      event: MouseEvent | TouchEvent,
      { fromNode, fromHandle, toNode, isValid: fine }: FinalConnectionState,
    ) => {
      if (fine || !fromNode || !fromHandle) return; // a good one has been connected already
      const { clientX: x, clientY: y } =
        "changedTouches" in event ? event.changedTouches[0]! : event;
      const other = toNode?.id ?? stepUnder(document.elementFromPoint(x, y));
      if (other === null || other === fromNode.id) return;
      const [from, to] = fromHandle.type === "source" ? [fromNode.id, other] : [other, fromNode.id];
      join(from, to, { x, y });
    },
    [join],
  );

  useEffect(() => {
    if (!bubble) return;
    const timer = setTimeout(() => setBubble(null), 6000);
    return () => clearTimeout(timer);
  }, [bubble]);
  useEffect(() => setBubble(null), [draft]);

  // -- the keyboard ---------------------------------------------------------------------------

  const removeChosen = () => {
    const { selected, draft: now } = store.get();
    const gone = new Set(selected); // arrows of removed steps go with them, and are healed
    const cut = edgesChosen
      .map((id) => JSON.parse(id) as [string, string])
      .filter(([from, to]) => !gone.has(from) && !gone.has(to))
      .filter(([from, to]) =>
        now.steps.some((one) => one.step === to && one.after?.includes(from)),
      );
    if (cut.length === 0) store.removeSelected();
    else {
      const edgeWords =
        cut.length === 1
          ? `'${cut[0]![1]}' no longer runs after '${cut[0]![0]}'`
          : `Remove ${cut.length} connections`;
      const label =
        selected.length === 0
          ? edgeWords
          : `Remove ${named(selected)} and ${cut.length} connections`;
      store.apply(label, (one) =>
        remove(
          cut.reduce((all, [from, to]) => disconnect(all, from, to), one),
          selected,
        ),
      );
    }
    setEdgesChosen([]);
    requestAnimationFrame(() => view.focus());
  };

  const startRename = (name: string | undefined) => {
    if (name === undefined) store.say("Select the step to rename first");
    else setRenaming(name);
  };

  const go = (event: KeyboardEvent, from: string | undefined, to: graph.Direction) => {
    if (event.altKey) return nudge(to);
    const name = graph.neighbour(nodes, from, to);
    if (name === null) return;
    const { selected } = store.get();
    store.select(event.shiftKey ? [...selected.filter((one) => one !== name), name] : [name]);
    view.focus(name);
  };

  const nudge = (to: graph.Direction) => {
    const [dx, dy] = { left: [-16, 0], right: [16, 0], up: [0, -16], down: [0, 16] }[to] as [
      number,
      number,
    ];
    const { selected } = store.get();
    const chosen = nodes.filter(({ id }) => selected.includes(id));
    const places = chosen.map(({ id, position: { x, y } }) => [id, [x + dx, y + dy]]);
    if (chosen.length > 0) store.move(`Move ${named(selected)}`, Object.fromEntries(places));
  };

  const enter = useCallback(
    (name: string | undefined, inspect: boolean) => {
      if (name === undefined) return;
      store.select([name]);
      if (inspect || !store.enter(name)) onInspect();
    },
    [store, onInspect],
  );

  // the same functions at each drawing, since React Flow draws anew for new ones
  const onDoubleClick = useCallback((_: unknown, { id }: Node) => enter(id, false), [enter]);
  const onPaneClick = useCallback(() => frame.current?.focus({ preventScroll: true }), []);
  const onConnect = useCallback(({ source, target }: Connection) => join(source, target), [join]);

  const escape = () => {
    setBubble(null);
    if (store.get().selected.length > 0 || edgesChosen.length > 0) {
      store.select([]);
      setEdgesChosen([]);
    } else store.leave();
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (isTyping(event.target) || event.defaultPrevented) return;
    const focused = stepUnder(event.target as Element) ?? undefined;
    const { selected } = store.get();
    const current = selected.length === 1 ? selected[0] : focused;
    const isCommand = event.ctrlKey || event.metaKey;
    const commands: Record<string, () => void> = {
      a: () => store.select(store.get().draft.steps.map(({ step }) => step)),
      d: () =>
        selected.length > 0 &&
        store.add(`Duplicate ${named(selected)}`, (one) => duplicate(one, selected)),
    };
    const onStep = {
      Enter: () => enter(current, false),
      " ": () => focused && toggle(focused, isCommand),
    };
    const keys: Record<string, () => void> = {
      ...(focused === undefined ? {} : onStep),
      ArrowLeft: () => go(event, focused ?? selected[0], "left"),
      ArrowRight: () => go(event, focused ?? selected[0], "right"),
      ArrowUp: () => go(event, focused ?? selected[0], "up"),
      ArrowDown: () => go(event, focused ?? selected[0], "down"),
      Delete: removeChosen,
      Backspace: removeChosen,
      F2: () => startRename(current),
      Escape: escape,
      "?": onHelp,
      "/": onSearch,
      i: () => enter(current, true),
      "+": () => void flow.zoomIn(),
      "-": () => void flow.zoomOut(),
      "0": view.fit,
    };
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = isCommand ? (commands[key] ?? (key === " " ? keys[key] : undefined)) : keys[key];
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  };

  const toggle = (name: string, more: boolean) => {
    const { selected } = store.get();
    const others = selected.filter((one) => one !== name);
    const isIn = others.length < selected.length;
    store.select(more ? (isIn ? others : [...others, name]) : [name]);
  };

  // the clipboard's events need no permission, unlike its programming interface
  const onClipboard = (event: ClipboardEvent) => {
    if (isTyping(event.target)) return;
    if (event.type === "paste") store.paste(event.clipboardData.getData("text/plain"));
    else {
      const text = event.type === "cut" ? store.cut() : store.copy();
      if (text !== null) event.clipboardData.setData("text/plain", text);
    }
    event.preventDefault();
    event.stopPropagation();
    requestAnimationFrame(() => view.focus(store.get().selected[0]));
  };

  const actions = useMemo<NodeActions>(
    () => ({
      rename(from, to) {
        setRenaming((now) => (now === from ? null : now));
        if (to.trim() === from || !store.get().draft.steps.some(({ step }) => step === from))
          return;
        const done = store.apply(`Rename '${from}' to '${to.trim()}'`, (one) =>
          rename(one, from, to),
        );
        requestAnimationFrame(() => view.focus(done ? to.trim() : from));
      },
      cancelRename(name) {
        setRenaming(null);
        requestAnimationFrame(() => view.focus(name));
      },
    }),
    [store, view],
  );

  return (
    <div
      ref={frame}
      className={`sk-canvas${snapshot.readable ? "" : " sk-stale"}`}
      role="group"
      tabIndex={draft.steps.length === 0 ? 0 : -1}
      aria-label={`Canvas of saga '${draft.saga}', ${counted(draft.steps.length)}; arrow keys move between steps, ? lists the keys`}
      onKeyDown={onKeyDown}
      onCopy={onClipboard}
      onCut={onClipboard}
      onPaste={onClipboard}
      onDrop={onDrop}
      onDragOver={onDragOver}
      onDragLeave={() => markDrop(frame.current, null)}
    >
      <NodeActionsContext value={actions}>
        <ReactFlow
          nodes={nodes}
          edges={edges}
          nodeTypes={NODE_TYPES}
          edgeTypes={EDGE_TYPES}
          onNodesChange={onNodesChange}
          onEdgesChange={onEdgesChange}
          onNodeDragStop={onMoved}
          onNodeDoubleClick={onDoubleClick}
          onPaneClick={onPaneClick}
          onConnect={onConnect}
          onConnectEnd={onConnectEnd}
          isValidConnection={isValid}
          {...QUIET}
          connectionRadius={28}
          autoPanOnConnect={false} // a step near the edge would flee from who connects it
          maxZoom={2}
        >
          <Background gap={20} size={1.2} />
          <PivotLine nodes={nodes} />
          {draft.steps.length > 0 && (
            <MiniMap nodeClassName={miniClass} pannable ariaLabel="Overview" style={OVERVIEW} />
          )}
          <Controls showInteractive={false} showFitView={false} aria-label="Zoom" />
        </ReactFlow>
      </NodeActionsContext>
      <Breadcrumb store={store} snapshot={snapshot} />
      {draft.steps.length === 0 && <Empty snapshot={snapshot} onAdd={addAfter} />}
      {!snapshot.readable && <Unreadable onMend={onMend} />}
      {bubble && (
        <div className="sk-bubble" style={{ left: bubble.x, top: bubble.y }}>
          {bubble.text}
        </div>
      )}
    </div>
  );
}

/** How far a stretch must be moved to lie within a length, a little off its ends. */
function inward(start: number, length: number, room: number): number {
  return Math.max(EDGE - start, Math.min(0, room - EDGE - length - start));
}

function placeOf(change: NodeChange): [string, [number, number]] {
  const { id, position } = change as { id: string; position: { x: number; y: number } };
  return [id, [position.x, position.y]];
}

function miniClass(node: Node): string {
  return `sk-mini-${(node.data as graph.StepData).kind}`;
}

/** Shows on which step or arrow a part would be dropped. */
function markDrop(frame: HTMLElement | null, target: Element | null): void {
  const old = frame?.querySelector(".sk-drop");
  if (old === target) return;
  old?.classList.remove("sk-drop");
  target?.classList.add("sk-drop");
}

// -- what is drawn ------------------------------------------------------------------------------

/** The boxes; a box that shows what it showed is the same object, so that it is not drawn anew. */
function useNodes(
  snapshot: Snapshot,
  drag: Positions,
  renaming: string | null,
): [ShownStep[], Layout["ways"]] {
  const { whole, at, draft, state, positions, selected } = snapshot;
  const problems = useMemo(() => graph.problemsByStep(state), [state]);
  const oldData = useRef<graph.StepData[]>([]);
  const data = useMemo(() => {
    oldData.current = same(oldData.current, graph.stepData({ whole, at, draft, state }, problems));
    return oldData.current;
  }, [whole, at, draft, state, problems]);
  const shape = useMemo(() => {
    const steps = draft.steps.map(({ step, after, when, branch }, i) => [
      step,
      after,
      when,
      branch,
      graph.sizeOf(data[i]!).height,
    ]);
    return JSON.stringify([keyOf(whole, at, ""), steps]);
  }, [whole, at, draft, data]);
  const { places, ways } = useMemo(() => {
    const sizes = new Map(data.map((one) => [one.name, graph.sizeOf(one)]));
    return graph.arranged({ whole, at, draft, positions }, sizes);
    // `shape` is all of the saga that a layout depends on
  }, [shape, positions]);
  const old = useRef(new Map<string, ShownStep>());
  const still = useMemo(() => {
    const chosen = new Set(selected);
    const first = selected[0] ?? data[0]?.name;
    const nodes = data.map((one) => {
      const node = graph.stepNode(one, places.get(one.name)!) as ShownStep;
      const before = old.current.get(one.name);
      const more = { first: one.name === first, renaming: one.name === renaming };
      const isSame =
        before &&
        before.data.first === more.first &&
        before.data.renaming === more.renaming &&
        before.shown === one;
      node.selected = chosen.has(one.name);
      node.data = isSame ? before.data : { ...one, ...more };
      node.shown = one;
      return before &&
        isSame &&
        before.selected === node.selected &&
        before.position.x === node.position.x &&
        before.position.y === node.position.y
        ? before
        : node;
    });
    old.current = new Map(nodes.map((node) => [node.id, node]));
    return nodes;
  }, [data, places, selected, renaming]);
  const shown = useMemo(
    () => (drag === STILL ? still : still.map((node) => dragged(node, drag))),
    [still, drag],
  );
  return [shown, ways];
}

function dragged(node: ShownStep, drag: Positions): ShownStep {
  const place = Object.hasOwn(drag, node.id) ? drag[node.id] : undefined;
  return place ? { ...node, position: { x: place[0], y: place[1] } } : node;
}

function useEdges({ draft }: Snapshot, ways: Layout["ways"], chosen: string[]): Edge[] {
  const edges = useMemo(() => graph.edgesOf(draft, ways), [draft, ways]);
  return useMemo(
    () =>
      chosen.length === 0
        ? edges
        : edges.map((one) => (chosen.includes(one.id) ? { ...one, selected: true } : one)),
    [edges, chosen],
  );
}

/** What is in sight: fitting, and moving to a step. */
function useView(
  frame: { current: HTMLDivElement | null },
  nodes: ShownStep[],
  { at, positions }: Snapshot,
) {
  const flow = useReactFlow();
  const placed = useRef(false);
  placed.current = Object.keys(positions).length > 0;
  const latest = useRef(nodes);
  latest.current = nodes;
  const view = useMemo(() => {
    const duration = () => (movesLess() ? 0 : 200);
    const size = () => [frame.current?.clientWidth ?? 0, frame.current?.clientHeight ?? 0] as const;
    const fit = (least = QUIET.minZoom) => {
      const [width, height] = size();
      if (width === 0 || latest.current.length === 0) return;
      const bounds = getNodesBounds(latest.current);
      const line = graph.pivotLine(latest.current);
      if (line) {
        bounds.height += bounds.y - line.top; // with the words at its top
        bounds.y = line.top;
      }
      const seen = viewportOf(bounds, [width, height], least, 48);
      void flow.setViewport(seen, { duration: least > QUIET.minZoom ? 0 : duration() });
    };
    const bring = (node: ShownStep) => {
      const [width, height] = size();
      const { x, y, zoom } = flow.getViewport();
      if (width === 0) return;
      if (zoom < LEGIBLE) {
        const centre = [
          node.position.x + graph.WIDTH / 2,
          node.position.y + node.height! / 2,
        ] as const;
        return void flow.setCenter(...centre, { zoom: LEGIBLE, duration: duration() });
      }
      const dx = inward(node.position.x * zoom + x, graph.WIDTH * zoom, width);
      const dy = inward(node.position.y * zoom + y, node.height! * zoom, height);
      if (dx !== 0 || dy !== 0)
        void flow.setViewport({ x: x + dx, y: y + dy, zoom }, { duration: duration() });
    };
    /** Where a step dropped at a point of the screen stands: in sight, and on no other step. */
    const placeAt = (clientX: number, clientY: number): [number, number] => {
      const [width, height] = size();
      const { x: right, y: down } = frame.current!.getBoundingClientRect();
      const { x, y, zoom } = flow.getViewport();
      const left = clientX - right - (graph.WIDTH / 2) * zoom;
      const top = clientY - down - (graph.MAIN / 2) * zoom;
      const seen = [
        left + inward(left, graph.WIDTH * zoom, width),
        top + inward(top, graph.MAIN * zoom, height),
      ];
      return graph.free(
        [Math.round((seen[0]! - x) / zoom), Math.round((seen[1]! - y) / zoom)],
        latest.current,
      );
    };
    const focus = (name?: string) => {
      const node = latest.current.find(({ id }) => id === name);
      if (node) bring(node);
      const box =
        name === undefined
          ? null
          : frame.current?.querySelector<HTMLElement>(`[data-step="${CSS.escape(name)}"]`);
      (box ?? frame.current)?.focus({ preventScroll: true });
    };
    const show = (store: Store) => (name: string) => {
      store.select([name]);
      requestAnimationFrame(() => focus(name));
    };
    return { fit: () => fit(), begin: () => fit(0.6), focus, show, placeAt };
  }, [flow, frame]);

  // a saga that comes into view is shown from its beginning, once there is room for it
  const shown = useRef<string | null>(null);
  const place = nodes.length === 0 ? EMPTY : JSON.stringify(at);
  useEffect(() => {
    const box = frame.current;
    if (!box) return;
    const begin = () => {
      if (shown.current === place || box.clientWidth === 0) return;
      const isDropped = shown.current === EMPTY && latest.current.length === 1 && placed.current;
      shown.current = place;
      if (!isDropped) view.begin(); // where the first step was dropped, it stays
    };
    const observer = new ResizeObserver(begin);
    observer.observe(box);
    begin();
    return () => observer.disconnect();
  }, [frame, place, view]);
  return view;
}

function Breadcrumb({ store, snapshot }: { store: Store; snapshot: Snapshot }) {
  const { whole, at } = snapshot;
  const steps = trail(whole, at);
  if (steps.length === 0) return null;
  return (
    <nav className="sk-crumbs" aria-label="Where this saga stands">
      <ol>
        {[{ name: whole.saga, at: [] as typeof at }, ...steps].map(({ name, at: place }, i) => (
          <li key={i}>
            {i < steps.length ? (
              <button type="button" onClick={() => store.open(place)}>
                {name}
              </button>
            ) : (
              <span aria-current="page">{name}</span>
            )}
          </li>
        ))}
      </ol>
    </nav>
  );
}

function Empty({ snapshot, onAdd }: { snapshot: Snapshot; onAdd(entry: PaletteEntry): void }) {
  const first = snapshot.catalogue.palette[0];
  return (
    <div className="sk-empty">
      <p className="sk-empty-title">A saga is a row of steps that happen together or not at all.</p>
      <p>Drag a part from the palette to this place, or begin with one:</p>
      {first && (
        <button type="button" className="sk-button sk-primary" onClick={() => onAdd(first)}>
          <Icon name="plus" /> Add the first step
        </button>
      )}
    </div>
  );
}

function Unreadable({ onMend }: { onMend(): void }) {
  return (
    <div className="sk-banner" role="alert">
      <Icon name="warning" />
      <span>The YAML text cannot be read. This is the last saga that could.</span>
      <button type="button" className="sk-button" onClick={onMend}>
        Mend the text
      </button>
    </div>
  );
}
