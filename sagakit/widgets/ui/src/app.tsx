/** The whole designer: tabs, tools, palette, canvas, inspector, and what is said at the bottom. */
import {
  useCallback,
  useEffect,
  useId,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
  type KeyboardEvent,
} from "react";
import { Boundary } from "./boundary";
import { Canvas, type CanvasHandle } from "./canvas";
import { worst } from "./graph";
import { Icon } from "./icons";
import { Palette } from "./palette";
import { DataTab, focusField, Inspector, ProblemsTab, PythonTab, YamlTab } from "./panels";
import type { PaletteEntry, PanelProps } from "./protocol";
import { Files, Help, Search } from "./sheets";
import { Grip, keepKeys, Restarted } from "./shell";
import { counted, type Snapshot, type Store } from "./store";
import { useTheme } from "./theme";
import { Tabs, Toolbar, type Tool } from "./toolbar";
import { LegendSheet } from "./watch/legend";
import type { Legend } from "./watching";

type TabName = "canvas" | "yaml" | "python" | "problems" | "data";
type Sheet = "help" | "legend" | "search" | "save" | "load" | null;

const HEIGHT = 560; // to begin with

export function App({ store, legend }: { store: Store; legend: Legend }) {
  const snapshot = useSyncExternalStore(store.subscribe, store.get);
  const theme = useTheme();
  const id = useId();
  const root = useRef<HTMLDivElement>(null);
  const canvas = useRef<CanvasHandle>(null);
  const [tab, setTab] = useState<TabName>("canvas");
  const [sheet, setSheet] = useState<Sheet>(null);
  const [isSideOpen, setSideOpen] = useState(true);
  const [height, setHeight] = useState(HEIGHT);
  const [file, setFile] = useState<string | null>(null); // where it was last saved or loaded
  const show = useCallback(() => {
    setTab("canvas");
    setSideOpen(true);
  }, []);
  const props = usePanelProps(store, snapshot, show, root);

  const openSheet = useCallback((wanted: Sheet) => {
    if (wanted === "search") setTab("canvas");
    setSheet(wanted);
  }, []);
  const close = useCallback(() => setSheet(null), []);
  const inspect = useCallback(() => {
    setSideOpen(true);
    requestAnimationFrame(() => focusFirst(root.current?.querySelector(".sk-side")));
  }, []);
  const addEntry = useCallback((entry: PaletteEntry) => canvas.current?.add(entry), []);
  const commands = {
    undo: store.undo,
    redo: store.redo,
    search: () => openSheet("search"),
    save: () => openSheet("save"),
  };

  return (
    <div
      ref={root}
      className="sk-root"
      data-theme={theme}
      style={{ height }}
      tabIndex={-1}
      onFocusCapture={keepKeys}
      onKeyDownCapture={keepKeys}
      onKeyDown={(event) => onCommand(event, commands)}
    >
      <div className="sk-head">
        <Tabs
          id={id}
          tabs={tabsOf(snapshot)}
          open={tab}
          onOpen={(name) => setTab(name as TabName)}
        />
        <Toolbar
          tools={[
            ...toolsOf(store, snapshot, tab, sheet, canvas, openSheet),
            {
              name: "side",
              label: "Options",
              does: () => setSideOpen(!isSideOpen),
              pressed: isSideOpen,
              off: tab !== "canvas",
            },
          ]}
        />
      </div>
      {!snapshot.connected && <Disconnected snapshot={snapshot} store={store} />}
      <div className="sk-body">
        <div
          className={`sk-panel-canvas${isSideOpen ? "" : " sk-no-side"}`}
          role="tabpanel"
          id={`${id}-panel-canvas`}
          aria-labelledby={`${id}-tab-canvas`}
          hidden={tab !== "canvas"}
        >
          <Palette entries={snapshot.catalogue.palette} onAdd={addEntry} />
          <Boundary what="The canvas" again={snapshot.whole}>
            <Canvas
              store={store}
              snapshot={snapshot}
              handle={canvas}
              onInspect={inspect}
              onSearch={() => openSheet("search")}
              onHelp={() => openSheet("help")}
              onMend={() => setTab("yaml")}
            />
          </Boundary>
          <aside
            className="sk-side"
            hidden={!isSideOpen}
            aria-label={
              snapshot.selected.length > 0 ? "Options of the step" : "Options of the saga"
            }
          >
            <Boundary what="The form" again={props}>
              <Inspector {...props} />
            </Boundary>
          </aside>
          {sheet === "search" && (
            <Search
              draft={snapshot.draft}
              onShow={(name) => canvas.current?.show(name)}
              onClose={close}
            />
          )}
        </div>
        {tab !== "canvas" && (
          <div
            className="sk-panel-other"
            role="tabpanel"
            id={`${id}-panel-${tab}`}
            aria-labelledby={`${id}-tab-${tab}`}
          >
            <Boundary key={tab} what="This tab" again={props}>
              {tab === "yaml" && <YamlTab {...props} />}
              {tab === "python" && <PythonTab {...props} />}
              {tab === "problems" && <ProblemsTab {...props} />}
              {tab === "data" && <DataTab {...props} />}
            </Boundary>
          </div>
        )}
        {sheet === "help" && <Help onClose={close} />}
        {sheet === "legend" && <LegendSheet legend={legend} onClose={close} />}
        {(sheet === "save" || sheet === "load") && (
          <Files
            does={sheet === "save" ? "Save" : "Load"}
            files={snapshot.catalogue.files}
            given={file ?? `data/sagas/${snapshot.whole.saga}.yaml`}
            onDo={(path) => {
              setFile(path);
              store[sheet](path);
            }}
            onClose={close}
          />
        )}
      </div>
      <Foot snapshot={snapshot} height={height} onHeight={setHeight} />
    </div>
  );
}

// -- what the panels are given --------------------------------------------------------------------

function usePanelProps(
  store: Store,
  snapshot: Snapshot,
  show: () => void,
  root: { current: HTMLElement | null },
): PanelProps {
  const { whole, at, draft, state, catalogue, selected, revealed } = snapshot;
  const reveal = useCallback(
    (path: PanelProps["at"]) => {
      show();
      store.reveal(path);
    },
    [store, show],
  );
  useEffect(() => {
    if (!revealed) return;
    // the form is drawn by now; its fields are marked by what is left of the path
    const side = root.current?.querySelector(".sk-side");
    if (side && !focusField(side, revealed.rest)) focusFirst(side);
  }, [revealed, root]);
  return useMemo(
    () => ({
      whole,
      at,
      draft,
      state,
      catalogue,
      selected,
      reveal,
      apply: (label, change) => void store.apply(label, change),
      editText: store.editText,
      editModel: store.editModel,
      select: store.select,
    }),
    [whole, at, draft, state, catalogue, selected, reveal, store],
  );
}

const FOCUSABLE = "input, select, textarea, button, [tabindex='0'], [contenteditable=true]";

function focusFirst(box: Element | null | undefined): void {
  const first = box?.querySelector<HTMLElement>(FOCUSABLE);
  first?.focus();
}

// -- keys -----------------------------------------------------------------------------------------

interface Commands {
  undo(): void;
  redo(): void;
  search(): void;
  save(): void;
}

function onCommand(event: KeyboardEvent, { undo, redo, search, save }: Commands): void {
  if (!(event.ctrlKey || event.metaKey) || event.altKey || event.defaultPrevented) return;
  const typing =
    event.target instanceof Element &&
    event.target.closest("input, textarea, [contenteditable=true]");
  const key = event.key.toLowerCase();
  const does = { z: event.shiftKey ? redo : undo, y: redo, f: search, s: save }[key];
  // in a field, undo is the field's own
  if (!does || (typing && key !== "s")) return;
  event.preventDefault();
  event.stopPropagation();
  does();
}

// -- the head -------------------------------------------------------------------------------------

function tabsOf({ state }: Snapshot) {
  const level = worst(state.problems);
  const count = level && (
    <span
      className={`sk-tab-count sk-level-${level}`}
      aria-label={`, ${state.problems.length} found`}
    >
      {state.problems.length}
    </span>
  );
  return [
    { name: "canvas", label: "Canvas" },
    { name: "yaml", label: "YAML" },
    { name: "python", label: "Python" },
    { name: "problems", label: "Problems", extra: count },
    { name: "data", label: "Data" },
  ];
}

function toolsOf(
  store: Store,
  { undo, redo, connected }: Snapshot,
  tab: TabName,
  sheet: Sheet,
  canvas: { current: CanvasHandle | null },
  open: (sheet: Sheet) => void,
): (Tool | null)[] {
  const isHidden = tab !== "canvas";
  return [
    {
      name: "undo",
      label: undo === null ? "Undo" : `Undo: ${undo}`,
      keys: "Ctrl+Z",
      does: store.undo,
      off: undo === null,
    },
    {
      name: "redo",
      label: redo === null ? "Redo" : `Redo: ${redo}`,
      keys: "Ctrl+Y",
      does: store.redo,
      off: redo === null,
    },
    null,
    { name: "layout", label: "Lay out the steps", does: store.layOut, off: isHidden },
    {
      name: "fit",
      label: "Show everything",
      keys: "0",
      does: () => canvas.current?.fit(),
      off: isHidden,
    },
    {
      name: "search",
      label: "Find a step",
      keys: "Ctrl+F",
      does: () => open("search"),
      pressed: sheet === "search",
    },
    null,
    {
      name: "save",
      label: "Save",
      keys: "Ctrl+S",
      does: () => open("save"),
      pressed: sheet === "save",
      off: !connected,
    },
    {
      name: "load",
      label: "Load",
      does: () => open("load"),
      pressed: sheet === "load",
      off: !connected,
    },
    null,
    {
      name: "legend",
      label: "Legend",
      does: () => open("legend"),
      pressed: sheet === "legend",
    },
    { name: "help", label: "Keys", keys: "?", does: () => open("help"), pressed: sheet === "help" },
  ];
}

/** The kernel has gone: what is drawn can still be taken along. */
function Disconnected({ snapshot, store }: { snapshot: Snapshot; store: Store }) {
  const { state, whole, answered } = snapshot;
  const text = answered ? state.text : JSON.stringify(whole, null, 2); // which is YAML too
  const copy = () => {
    navigator.clipboard.writeText(text).then(
      () => store.say("The saga's text is in the clipboard"),
      () => store.say("The browser does not allow copying: the text is in the YAML tab", "error"),
    );
  };
  return (
    <Restarted kept="Your drawing is still here.">
      <button type="button" className="sk-button" onClick={copy}>
        Copy it as text
      </button>
    </Restarted>
  );
}

// -- the foot -------------------------------------------------------------------------------------

interface FootProps {
  snapshot: Snapshot;
  height: number;
  onHeight(height: number): void;
}

function Foot({ snapshot, height, onHeight }: FootProps) {
  const { notice, draft, answered, connected } = snapshot;
  const isSlow = useLate(!answered && connected, 1500);
  const said = isSlow ? "Waiting for the kernel …" : notice?.text;
  return (
    <div className="sk-foot">
      <span
        className={`sk-said${notice?.level === "error" && !isSlow ? " sk-refused" : ""}`}
        key={notice?.count}
      >
        {notice?.level === "error" && !isSlow && <Icon name="warning" size={14} />}
        {said}
      </span>
      <span className="sk-counts">{counted(draft.steps.length)}</span>
      <Grip of="designer" height={height} onHeight={onHeight} />
      {/* apart, since what appears is read aloud only in an element that was there before */}
      <span className="sk-hidden" role="status" aria-live="polite">
        {notice?.level === "info" ? notice.text : ""}
      </span>
      <span className="sk-hidden" role="alert">
        {notice?.level === "error" ? notice.text : ""}
      </span>
    </div>
  );
}

/** Whether something has been so for a while. */
function useLate(is: boolean, after: number): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    if (!is) return;
    const timer = setTimeout(() => setLate(true), after);
    return () => {
      clearTimeout(timer);
      setLate(false);
    };
  }, [is, after]);
  return late;
}
