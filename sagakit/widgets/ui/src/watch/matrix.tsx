/** The fault matrix: how each single fault ends; a field opens its run in a player beneath. */
import {
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
  type KeyboardEvent,
} from "react";
import { Boundary } from "../boundary";
import { Icon } from "../icons";
import { CopyButton } from "../panels/CopyButton";
import { Restarted } from "../shell";
import type { Legend, MatrixState } from "../watching";
import { Head, HeadSheet, onKeys, Root, type SheetName } from "./frame";
import { paint } from "./look";
import { Player } from "./player";
import type { MatrixSource } from "./source";

type Cell = MatrixState["cells"][number];
const HEIGHT = 680; // of the player, to begin with

export function MatrixApp({ source, legend }: { source: MatrixSource; legend: Legend }) {
  const { state, waits, connected } = useSyncExternalStore(source.subscribe, source.get);
  const player = useSyncExternalStore(source.subscribe, source.player);
  const [height, setHeight] = useState(HEIGHT);
  const [sheet, setSheet] = useState<SheetName>(null);
  const root = useRef<HTMLDivElement>(null);
  const head = useRef<HTMLDivElement>(null);
  // something happens, so that it must be seen
  useEffect(() => {
    head.current?.scrollIntoView({ block: "nearest" });
  }, [state.opened]);
  const close = () => {
    source.send({ close: true });
    root.current?.querySelector<HTMLElement>(".sk-matrix [tabindex='0']")?.focus();
  };
  return (
    <Root
      of="player"
      height={height}
      onHeight={setHeight}
      isFree
      hasGrip={player !== null}
      className="sk-matrix-root"
      waits={waits}
      ref={root}
      onKeyDown={(event) => onKeys(event, setSheet)}
    >
      <Head title={`One fault in “${state.title}”: how it ends`} sheet={sheet} onSheet={setSheet} />
      {!connected && <Restarted kept="What was found can still be read." />}
      <div className="sk-matrix-body">
        <Grid
          state={state}
          legend={legend}
          onOpen={(row, column) => source.send({ cell: [row, column] })}
        />
        <Violations
          state={state}
          legend={legend}
          onOpen={(violation) => source.send({ violation })}
        />
        <div role="alert">
          {state.said && <p className="sk-error sk-matrix-said">{state.said.text}</p>}
        </div>
        <HeadSheet sheet={sheet} onSheet={setSheet} legend={legend} keys={KEYS} />
      </div>
      {player && (
        <section className="sk-opened" aria-label="The run that is open" style={{ height }}>
          <div ref={head} className="sk-opened-head">
            <span role="status">{openedWords(state)}</span>
            <button
              type="button"
              className="sk-tool"
              aria-label="Close the run"
              title="Close"
              onClick={close}
            >
              <Icon name="close" />
            </button>
          </div>
          <Boundary
            what="The player"
            again={player}
            cure="Open another run, or run the cell again."
          >
            <Player key={JSON.stringify(state.opened)} source={player} legend={legend} />
          </Boundary>
        </section>
      )}
    </Root>
  );
}

const KEYS: [string, string][] = [
  ["← ↑ → ↓ Home End", "on a field: to another one"],
  ["Enter", "on a field: open its run"],
];

function openedWords({ opened, cells, violations }: MatrixState): string {
  if (!opened) return "";
  if ("violation" in opened) {
    const one = violations[opened.violation]!;
    return `${one.invariant} does not hold: ${one.scenario}`;
  }
  const [row, column] = opened.cell;
  return cells.find((cell) => cell.row === row && cell.column === column)?.scenario ?? "";
}

// -- the grid ---------------------------------------------------------------------------------------

interface GridProps {
  state: MatrixState;
  legend: Legend;
  onOpen(row: number, column: number): void;
}

function Grid({ state, legend, onOpen }: GridProps) {
  const { steps, columns, cells, opened } = state;
  const [at, setAt] = useState<[number, number]>([0, 0]);
  const table = useRef<HTMLTableElement>(null);
  const byPlace = useMemo(
    () => new Map(cells.map((cell) => [`${cell.row},${cell.column}`, cell])),
    [cells],
  );
  const [openRow, openColumn] = opened && "cell" in opened ? opened.cell : [-1, -1];

  const onKeyDown = (event: KeyboardEvent) => {
    const [row, column] = at;
    const [rows, width] = [steps.length - 1, columns.length - 1];
    const moves: Record<string, [number, number]> = {
      ArrowUp: [row - 1, column],
      ArrowDown: [row + 1, column],
      ArrowLeft: [row, column - 1],
      ArrowRight: [row, column + 1],
      Home: event.ctrlKey ? [0, 0] : [row, 0],
      End: event.ctrlKey ? [rows, width] : [row, width],
    };
    const to = moves[event.key];
    const isOpen = event.key === "Enter" || event.key === " ";
    if (!to && !isOpen) return;
    event.preventDefault();
    event.stopPropagation();
    if (isOpen && byPlace.has(`${row},${column}`)) onOpen(row, column);
    if (!to) return;
    const next: [number, number] = [
      Math.min(Math.max(to[0], 0), rows),
      Math.min(Math.max(to[1], 0), width),
    ];
    setAt(next);
    table.current?.querySelector<HTMLElement>(`[data-place="${next[0]},${next[1]}"]`)?.focus();
  };

  return (
    <div className="sk-matrix">
      <table
        ref={table}
        role="grid"
        aria-label={`Steps and faults of ${state.title}; Enter opens the run of a field`}
        onKeyDown={onKeyDown}
      >
        <thead>
          <tr>
            <th scope="col">
              <span className="sk-hidden">step</span>
            </th>
            {columns.map((column) => (
              <th key={column} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {steps.map((step, row) => (
            <tr key={step}>
              <th scope="row">{step}</th>
              {columns.map((fault, column) => (
                <Field
                  key={fault}
                  cell={byPlace.get(`${row},${column}`)}
                  place={`${row},${column}`}
                  name={`${step}, ${fault}`}
                  legend={legend}
                  isStop={at[0] === row && at[1] === column}
                  isOpen={openRow === row && openColumn === column}
                  onFocus={() => setAt([row, column])}
                  onOpen={() => onOpen(row, column)}
                />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface FieldProps {
  cell: Cell | undefined;
  place: string;
  name: string;
  legend: Legend;
  isStop: boolean;
  isOpen: boolean;
  onFocus(): void;
  onOpen(): void;
}

function Field({ cell, place, name, legend, isStop, isOpen, onFocus, onOpen }: FieldProps) {
  const common = { role: "gridcell", tabIndex: isStop ? 0 : -1, "data-place": place, onFocus };
  if (!cell) {
    return (
      <td {...common} className="sk-not-met" aria-label={`${name}: not met`} title="not met">
        ·
      </td>
    );
  }
  const look = legend.statuses[cell.status];
  const ends = Object.entries(cell.counts)
    .map(([status, count]) => `${count}× ${status}`)
    .join(", ");
  const broken =
    cell.broken.length > 0 ? `does not hold: ${cell.broken.join(", ")}` : "every invariant holds";
  const words = `${name}: ${cell.status}; ${broken}`;
  const runs = Object.values(cell.counts).reduce((sum, one) => sum + one, 0);
  return (
    <td
      {...common}
      className={`sk-cell sk-seen${cell.broken.length > 0 ? " sk-broken" : ""}`}
      {...paint(look)}
      aria-label={words}
      aria-selected={isOpen}
      title={`${cell.scenario}\n${ends}\n${broken}`}
      data-status={cell.status}
      data-broken={cell.broken.length}
      onClick={onOpen}
    >
      <span className="sk-cell-in">
        <span className="sk-cell-glyph" aria-hidden="true">
          {look?.glyph}
        </span>
        <span className="sk-cell-words">
          {cell.status}
          {runs > 1 && <span className="sk-hint">{` ${cell.counts[cell.status]} of ${runs}`}</span>}
          {cell.broken.length > 0 && (
            <span
              className="sk-cell-broken sk-seen"
              {...paint(legend.marks.fault)}
            >{`${legend.marks.fault?.glyph} ${cell.broken.length} broken`}</span>
          )}
        </span>
      </span>
    </td>
  );
}

// -- what does not hold -------------------------------------------------------------------------------

function Violations({
  state,
  legend,
  onOpen,
}: {
  state: MatrixState;
  legend: Legend;
  onOpen(number: number): void;
}) {
  const { violations, opened, words } = state;
  const list = useRef<HTMLUListElement>(null);
  const open = opened && "violation" in opened ? opened.violation : -1;
  useEffect(() => {
    if (open >= 0) list.current?.children[open]?.scrollIntoView({ block: "nearest" });
  }, [open]);
  return (
    <section className="sk-violations" aria-label="Invariants">
      <p className="sk-hint">{words.split("\n", 2).join("; ")}</p>
      {violations.length === 0 ? (
        <p className="sk-holds">
          <b>✓ Every invariant holds</b>
        </p>
      ) : (
        <ul ref={list}>
          {violations.map(({ invariant, count, problem, scenario, code }, i) => (
            <li key={i} className={i === open ? "sk-is-open" : undefined}>
              <span
                className="sk-cell-broken sk-seen"
                {...paint(legend.marks.fault)}
                aria-hidden="true"
              >
                {legend.marks.fault?.glyph}
              </span>
              <span className="sk-violation">
                <b>{invariant}</b> does not hold under {scenario}
                <span className="sk-hint">{`, in ${count} ${count === 1 ? "scenario" : "scenarios"} of all`}</span>
                {problem && <span className="sk-error">{` ${problem}`}</span>}
              </span>
              <button
                type="button"
                className="sk-button"
                aria-label={`Open the run in which ${invariant} does not hold`}
                aria-pressed={i === open}
                onClick={() => onOpen(i)}
              >
                Open
              </button>
              <CopyButton text={code} what={`the scenario that breaks ${invariant}`} />
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
