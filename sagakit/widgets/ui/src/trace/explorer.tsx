/** The explorer: a trace to zoom into, beside the graph of its saga; or two of them. */
import {
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
  type KeyboardEvent,
} from "react";
import { Boundary } from "../boundary";
import { Restarted } from "../shell";
import { Head, HeadSheet, onKeys, Root, type SheetName } from "../watch/frame";
import { Graph } from "../watch/graph";
import { Tag } from "../watch/look";
import type { Legend } from "../watching";
import { Camera } from "./camera";
import { Details } from "./details";
import { Differences, differsBy } from "./differences";
import { Filters } from "./filters";
import { into, nextFitting, ofNode, rowsByLane, type Ground, type Place } from "./moves";
import { around, EVERYTHING, fitting, outcomesOf, rowsOf, shownRows } from "./rows";
import type { ExplorerSource } from "./source";
import type { Table } from "./table";
import { durationWords } from "./ticks";
import { Timeline } from "./timeline";
import { spanWords } from "./words";

const HEIGHT = 700; // to begin with
const NAMES = ["A", "B"];
const NOTHING_STRUCK = new Map<string, string>();

export function ExplorerApp({ source, legend }: { source: ExplorerSource; legend: Legend }) {
  const [height, setHeight] = useState(HEIGHT);
  return (
    <Root of="explorer" height={height} onHeight={setHeight} className="sk-explorer-root">
      <Boundary what="The explorer" again={source} cure="Run the cell again.">
        <Explorer source={source} legend={legend} />
      </Boundary>
    </Root>
  );
}

function Explorer({ source, legend }: { source: ExplorerSource; legend: Legend }) {
  const { state, connected } = useSyncExternalStore(source.subscribe, source.get);
  const { runs, chosen, details, differences, said } = state;
  const { tables } = source;
  const names = runs.length > 1 ? NAMES : [""];
  const [camera] = useState(() => new Camera(Math.max(...tables.map(({ span }) => span))));
  const [sheet, setSheet] = useState<SheetName>(null);
  const [hasGraph, setHasGraph] = useState(true);
  const [graphOf, setGraphOf] = useState(0);
  const [open, setOpen] = useState(-1);
  const box = useRef<HTMLDivElement>(null);
  const lanes = useLanes(source, chosen);
  const { ground, place, go, toggle, fold } = lanes;
  const graph = runs[runs[graphOf]!.nodes.length > 0 ? graphOf : 1 - graphOf] ?? runs[graphOf]!;
  const shownRun = runs.indexOf(graph);
  const differs = useMemo(() => differsBy(differences, lanes.rowOf), [differences, lanes.rowOf]);
  useEffect(() => {
    if (chosen) setGraphOf(chosen.run);
  }, [chosen]);

  const find = (selector: string) => box.current!.querySelector<HTMLElement>(selector);
  const onStep = useCallback(
    (path: string) => {
      const node = graph.nodes.findIndex((one) => one.path === path);
      const before = source.get().state.chosen;
      const span = ofNode(tables[shownRun]!, node, before?.run === shownRun ? before.span : -1);
      if (span >= 0) go(shownRun, span);
    },
    [graph, shownRun, source, tables, go],
  );
  const onDifference = useCallback(
    (number: number) => {
      setOpen(number);
      const [one, other] = differences[number]!.lanes;
      if (one >= 0) go(0, tables[0]!.first[one]!);
      else if (other >= 0) go(1, tables[1]!.first[other]!);
    },
    [differences, tables, go],
  );
  const onKeyDown = (event: KeyboardEvent) => {
    const isBeside = (event.target as Element).closest(".sk-side, .sk-filters");
    const to = event.key === "Escape" && isBeside ? find(".sk-lanes") : null;
    if (to) {
      to.focus({ preventScroll: true });
      event.preventDefault(); // the browser would empty the search
    }
    onKeys(event, setSheet, {
      "+": () => camera.zoom(1.5),
      "-": () => camera.zoom(1 / 1.5),
      "0": camera.reset,
      "/": () => find(".sk-find")?.focus(),
      Escape: () => source.choose(null),
    });
  };
  const onChoose = useCallback(
    ({ run, span }: Place, how: "hand" | "key") =>
      how === "key" ? go(run, span) : source.choose({ run, span }),
    [go, source],
  );
  const onOpen = useCallback(() => find(".sk-span")?.focus(), []);
  const count = tables.reduce((sum, { start }) => sum + start.length, 0);
  const path = place && graph.nodes[tables[place.run]!.node[place.span]!]?.path;
  const inGraph = (chosen?.run === shownRun && path) || "";
  const isOf = details && chosen && details.run === chosen.run && details.span === chosen.span;

  return (
    <div
      ref={box}
      className="sk-explorer"
      tabIndex={-1} // so that keys come here when nothing that takes them was clicked
      data-span={chosen ? `${chosen.run},${chosen.span}` : undefined}
      onKeyDown={onKeyDown}
    >
      <Head
        title={runs.length > 1 ? "Two traces" : runs[0]!.title || "Trace"}
        note={runs.length > 1 ? "" : noteOf(tables)}
        sheet={sheet}
        onSheet={setSheet}
        left={runs.map(({ title, status, duration }, run) => (
          <span key={run} className="sk-run">
            {runs.length > 1 && (
              <>
                <b>{names[run]}</b> {title}{" "}
                <span className="sk-hint">{durationWords(duration)}</span>
              </>
            )}
            {status && <Tag look={legend.statuses[status]} text={status} />}
          </span>
        ))}
      >
        {graph.nodes.length > 0 && (
          <button
            type="button"
            className="sk-choice"
            aria-pressed={hasGraph}
            onClick={() => setHasGraph(!hasGraph)}
          >
            {runs.length > 1 ? `Graph of ${names[shownRun]}` : "Graph"}
          </button>
        )}
      </Head>
      {!connected && (
        <Restarted kept="The trace can still be looked at, without attributes and logs." />
      )}
      <div className="sk-explore">
        {count === 0 ? (
          <p className="sk-nothing">The trace has no spans.</p>
        ) : (
          <>
            <Filters
              filter={lanes.filter}
              outcomes={lanes.outcomes}
              legend={legend}
              count={lanes.count}
              onFilter={lanes.setFilter}
              onNext={lanes.next}
            />
            <div className="sk-pictures">
              {graph.nodes.length > 0 && hasGraph && (
                <Graph
                  nodes={graph.nodes}
                  edges={graph.edges}
                  states={graph.states}
                  legend={legend}
                  struck={NOTHING_STRUCK}
                  now={inGraph}
                  asks="its spans"
                  selected={inGraph || undefined}
                  onStep={onStep}
                />
              )}
              {ground.shown.length === 0 ? (
                <p className="sk-nothing">
                  No span is like that.{" "}
                  <button
                    type="button"
                    className="sk-button"
                    onClick={() => lanes.setFilter(EVERYTHING)}
                  >
                    Show every span
                  </button>
                </p>
              ) : (
                <Timeline
                  ground={ground}
                  camera={camera}
                  legend={legend}
                  chosen={place}
                  reveal={lanes.reveal}
                  collapsed={lanes.collapsed}
                  differs={differs}
                  titles={names}
                  onChoose={onChoose}
                  onToggle={toggle}
                  onFold={fold}
                  onOpen={onOpen}
                />
              )}
            </div>
            <aside className="sk-side sk-panel" aria-label="About the trace">
              <div role="alert">{said && <p className="sk-error">{said.text}</p>}</div>
              {state.words && (
                <Differences
                  differences={differences}
                  words={state.words}
                  titles={names}
                  legend={legend}
                  open={open}
                  onGo={onDifference}
                />
              )}
              {chosen ? (
                <Details
                  tables={tables}
                  titles={names}
                  chosen={chosen}
                  details={isOf ? details : null}
                  connected={connected}
                  legend={legend}
                  onGo={go}
                />
              ) : (
                <p className="sk-hint">Click a span, or move to one by the arrow keys.</p>
              )}
            </aside>
          </>
        )}
        <HeadSheet sheet={sheet} onSheet={setSheet} legend={legend} keys={KEYS} />
      </div>
      <span className="sk-hidden" role="status" aria-live="polite">
        {chosen && spokenOf(ground, chosen.run, chosen.span, names)}
      </span>
    </div>
  );
}

function noteOf([table]: Table[]): string {
  const { start, run, byOrder } = table!;
  const spans = `${start.length.toLocaleString("en")} ${start.length === 1 ? "span" : "spans"}`;
  const took = byOrder ? "all at one instant: drawn in their order" : durationWords(run.duration);
  return start.length > 0 ? `${spans}, ${took}` : "";
}

function spokenOf({ tables }: Ground, run: number, span: number, names: string[]): string {
  return [names[run], spanWords(tables[run]!, span)].filter(Boolean).join(": ");
}

/** Which lanes are shown, and which span is selected in them. */
function useLanes(source: ExplorerSource, chosen: { run: number; span: number } | null) {
  const { tables } = source;
  const [filter, setFilter] = useState(EVERYTHING);
  const [collapsed, setCollapsed] = useState<ReadonlySet<number>>(new Set<number>());
  const [reveal, setReveal] = useState<{ place: Place } | null>(null);
  const rows = useMemo(() => rowsOf(tables), [tables]);
  const rowOf = useMemo(() => tables.map((_, run) => rowsByLane(rows, run)), [rows, tables]);
  const outcomes = useMemo(() => outcomesOf(tables), [tables]);
  const fits = useMemo(() => tables.map((table) => fitting(table, filter)), [tables, filter]);
  const count = useMemo(
    () => fits.reduce((sum, one) => one.reduce((all, fit) => all + fit, sum), 0),
    [fits],
  );
  const row = chosen ? rowOf[chosen.run]![tables[chosen.run]!.lane[chosen.span]!]! : -1;
  // what is selected is shown, whatever the filter says
  const forced = filter === EVERYTHING ? -1 : row;
  const shown = useMemo(
    () => shownRows(rows, tables, fits, collapsed, forced),
    [rows, tables, fits, collapsed, forced],
  );
  const ground: Ground = useMemo(
    () => ({ tables, rows, shown, fits }),
    [tables, rows, shown, fits],
  );
  const place = useMemo(() => (chosen && row >= 0 ? { row, ...chosen } : null), [chosen, row]);

  const go = useCallback(
    (run: number, span: number) => {
      const at = rowOf[run]![tables[run]!.lane[span]!]!;
      setCollapsed((old) => {
        const hiding = around(rows, at).filter((one) => old.has(one));
        return hiding.length === 0 ? old : without(old, hiding);
      });
      setReveal({ place: { row: at, run, span } });
      source.choose({ run, span });
    },
    [source, tables, rows, rowOf],
  );
  const next = useCallback(() => {
    const to = nextFitting(ground, place);
    if (to) go(to.run, to.span);
  }, [ground, place, go]);
  const toggle = useCallback(
    (at: number) => {
      const isOpen = !collapsed.has(at);
      setCollapsed(isOpen ? new Set([...collapsed, at]) : without(collapsed, [at]));
      const now = source.get().state.chosen;
      const lane = now && tables[now.run]!.lane[now.span]!;
      const inside = now && rowOf[now.run]![lane!]!;
      // what is selected is not hidden: what holds it is selected instead
      if (isOpen && inside !== null && inside > at && inside <= at + rows[at]!.size) {
        const time = tables[now!.run]!.start[now!.span]!;
        const next = into(at, now!.run, time, ground);
        if (next) source.choose({ run: next.run, span: next.span });
      }
    },
    [source, tables, rows, rowOf, ground, collapsed],
  );
  const fold = useCallback(
    (isOpen: boolean) => {
      const all = rows.flatMap(({ size, depth }, at) => (size > 0 && depth > 0 ? [at] : []));
      setCollapsed(new Set(isOpen ? [] : all));
    },
    [rows],
  );
  const shows = { filter, setFilter, outcomes, count, collapsed, reveal };
  return { ...shows, ground, rowOf, place, go, next, toggle, fold };
}

function without(all: ReadonlySet<number>, some: number[]): Set<number> {
  return new Set([...all].filter((one) => !some.includes(one)));
}

const KEYS: [string, string][] = [
  ["↑ ↓", "to the lane above, below"],
  ["← →", "to the span before, after"],
  ["Home End", "to the first, last span of the lane"],
  ["Ctrl + Home, End", "to the first, last lane"],
  ["Enter", "the details of the span; Esc goes back"],
  ["Esc", "selects nothing"],
  ["Space", "collapse or expand the lane"],
  ["+ − 0", "nearer, farther, all of it"],
  ["Shift + ← →", "earlier, later"],
  ["Z", "fill the view with the span"],
  ["/", "find spans; Enter goes to the next, Esc back to the lanes"],
  ["Ctrl + wheel", "nearer, farther"],
  ["Shift + wheel", "earlier, later"],
  ["drag", "earlier, later; on the axis or with Shift: zoom into a range"],
];
