/**
 * What the kernel and the page tell each other of the widgets that watch sagas run.
 *
 * Every widget has these traits (sagakit/widgets/base.py):
 * - `_widget` which view is drawn: "designer" | "player" | "explorer" | "matrix" | "monitor";
 * - `legend`  kernel -> page: how kinds, states, statuses and marks look. Nothing of it is copied
 *             here: a name that the kernel sends is looked up in it;
 * - `state`   kernel -> page: all that is shown;
 * - `edit`    page -> kernel: one gesture. The kernel answers by a `state` of the same `seq`.
 * The player has `answer` besides, the matrix `player` and `answer`, the explorer `numbers` (bytes) and `details`,
 * the monitor `who`, `ways`, and `shown`: page -> kernel, whether somebody can see it.
 *
 * The page knows no rule of sagas: what a frame shows is told by the kernel, event by event.
 */

import type { Json } from "./protocol";

/** How a thing is drawn; of a kind of step `shape` and `meaning`, of the others the colours. */
export interface Look {
  glyph: string;
  fill?: string; // "#rrggbb"
  stroke?: string;
  dash?: string; // an SVG dash array
  hatch?: string; // "cross" "dots" "grid" "back"; empty: none
  shape?: string; // "round" "double" "pointed" "square"
  dot_shape?: string;
  meaning?: string;
  on?: "step" | "compensation"; // of a state: who shows it, the step or, if it has one, its twin
}
export interface Legend {
  kinds: Record<string, Look>;
  states: Record<string, Look>;
  segments: Record<string, Look>; // of an explorer's bars, besides the states
  statuses: Record<string, Look>;
  marks: Record<string, Look>; // "pivot", "fault", "crash", "resolved", …
  contrasts: { differs: Look }; // what differs between two executions
  parts: { step: Look; compensation: Look; nested: Look }; // no state; a twin; steps inside
}

/** What came of an edit, in the library's own words; null: nothing need be said. */
export type Said = { text: string; level: "info" | "error" } | null;

// -- a graph -----------------------------------------------------------------------------------

/** A step to draw; the page lays it out. */
export interface GraphNode {
  path: string; // "payment/authorize" stands within "payment"
  name: string;
  inside: number; // the node that it stands in; -1: none
  kind: string; // in legend.kinds
  service: string;
  compensation: string; // the name of its twin; empty: it has none
  notes: string[];
  holds: string; // "saga payment, 3 steps", "for each of items"; empty: no saga does it
  more: number; // steps within it that are not drawn
  retried: boolean; // it is tried until it succeeds: a fault for good may never end
}

// -- the player --------------------------------------------------------------------------------

/**
 * A run. Frame `i` is what all changes up to event `i` leave (i from 0). Numbers of nodes and of
 * paths are the same as far as there are nodes: a path beyond them is of a step not drawn.
 */
export interface Film {
  title: string;
  note: string; // of the whole saga: "deadline 60 s"
  nodes: GraphNode[];
  edges: [number, number][]; // within one saga, or within one step's saga
  events: {
    at: number[]; // virtual seconds since the start
    what: number[]; // in `words`
    step: number[]; // in `paths`; -1: of the whole execution
    detail: string[];
  };
  words: string[]; // "step started", …
  paths: string[];
  states: string[]; // in legend.states
  changes: number[]; // flat: event, node, state (in `states`); to begin with all are "pending"
  statuses: (number | string)[]; // flat: event, status (in legend.statuses) from that event on
  ledgers: {
    rows: [string, string][]; // service, what is counted
    changes: (number | string | null)[]; // flat: event, row, value; null: there is no such row
  };
  struck: [number, "fault" | "crash", number][]; // event, and which of `faults` or `crashes`
  ended: string; // the status in the end
}

/** A fault in the words of the YAML form (data/scenario.schema.json). */
export interface FaultForm {
  fault: string;
  step: string;
  side?: "action" | "compensation"; // left out: action
  attempt?: number; // only this one, from 1
  first?: number; // the first so many, 2 or more; neither: every attempt, for good
  seconds?: number; // of "slow"
}
export interface CrashForm {
  crash: number; // the number of the event
  written?: boolean;
  to?: string;
}

/** One way in which a step can be struck: put `fault: kind, step: path, side, seconds` into `faults`. */
export interface MenuEntry {
  kind: string;
  side: "action" | "compensation";
  label: string;
  meaning: string;
  seconds: number; // to begin with; 0: it takes none, leave it out
}
export interface Menu {
  entries: MenuEntry[];
  fits: number[][]; // by node: which entries
  /** By node: the crashes that make a difference to this run, and at which event each is. */
  crashes: { label: string; event: number; crash: CrashForm }[][];
}

export interface PlayerState {
  seq: number;
  film: Film;
  menu: Menu;
  input: string; // JSON text; what must not be shown is "[redacted]", and stays if left so
  seed: number;
  faults: FaultForm[];
  crashes: CrashForm[];
  yaml: string; // the scenario, to copy or to edit
  code: string; // the Python that runs it again
  choices: { step: string; compensation: string }[]; // what can be guessed
  said: Said; // an error: the last run stays
}

/** What is left out stays as it is. A `guess` (steps' paths, in order) runs nothing. */
export interface PlayerEdit {
  seq: number;
  input?: string;
  faults?: FaultForm[];
  crashes?: CrashForm[];
  scenario?: string; // YAML; instead of all
  seed?: number;
  guess?: string[];
}

/** Trait `answer`; {} until there was a guess about this run. */
export interface PlayerAnswer {
  seq: number;
  right: boolean;
  expected: string[]; // the steps that are compensated, in the order of this run
  guess: string[];
  any_order: string[][]; // these may come in any order among themselves
  words: string;
}

// -- the explorer ------------------------------------------------------------------------------

/** Where a column of numbers stands in the trait `numbers` (bytes from its start, little-endian;
 * as long as the table's `count`): f8 is a Float64Array, i4 an Int32Array, u1 a Uint8Array. */
export type Column = [number, "f8" | "i4" | "u1"];

/** One trace. Numbers called "text" are in `texts`. Lanes are rows, in the order to draw them. */
export interface TraceRun {
  title: string;
  status: string; // in legend.statuses; empty: not an execution of ours
  duration: number; // seconds
  texts: string[];
  spans: {
    count: number;
    start: Column; // seconds since the first span started
    end: Column; // NaN: it runs still
    lane: Column; // ascending; in a lane one span follows the other
    parent: Column; // a span; -1: none
    name: Column; // text
    service: Column; // text; may be empty
    outcome: Column; // text, in legend.states or legend.statuses
    node: Column; // of `nodes`; -1: none
    critical: Column; // 1: it decided when the execution ended
  };
  lanes: {
    count: number;
    depth: Column; // 0: outermost
    size: Column; // so many lanes behind this one are inside it, and go when it is collapsed
    label: Column; // text
    twin: Column; // the lane of the other trace with the same path; -1: there is none
  };
  nodes: GraphNode[]; // none: not an execution of ours
  edges: [number, number][];
  states: string[]; // how each node stands in the end
}

export interface ExplorerState {
  seq: number;
  runs: TraceRun[]; // one or two
  differences: {
    step: string; // a path; empty: of the whole execution
    side: string;
    what: string;
    first: string;
    second: string;
    words: string;
    lanes: [number, number]; // where it is in each trace; -1: it is not there
  }[];
  words: string; // of both together; empty: nothing is compared
  said: Said;
}

/** The span that is selected; null: none. The answer is in trait `details`, under this `seq`. */
export interface ExplorerEdit {
  seq: number;
  run?: number; // 0 or 1
  span: number | null;
}

/** Trait `details`; {} or only `seq`: of no span. */
export interface SpanDetails {
  seq: number;
  run: number;
  span: number;
  name: string;
  kind: string;
  status: "unset" | "ok" | "error";
  message: string; // why it is an error
  attributes: Record<string, Json>;
  events: { at: number; name: string; attributes: Record<string, Json> }[]; // its log
  links: { span: number; attributes: Record<string, Json> }[]; // -1: a span elsewhere
}

// -- the monitor -------------------------------------------------------------------------------

export interface MonitoredExecution {
  id: string;
  saga: string;
  version: string;
  status: string; // in legend.statuses
  started_at: number; // seconds since the epoch
  since: number; // when it came to stand so
  steps?: { step: string; state: string; why: string }[]; // of a stuck one: where, and why
}

/** Outermost executions only. It comes at most some three times a second, and only with news. */
export interface MonitorState {
  seq: number;
  at: number; // seconds since the epoch
  source: string; // the journal's file, or "in memory"
  counts: Record<string, number>; // by status
  throughput: number; // that ended, a second, over the last `window` whole seconds
  window: number;
  series: Record<string, number[]>; // by outcome: of each whole second before `at`, the last last
  running: MonitoredExecution[]; // running or waiting; the oldest first
  running_more: number; // that are not listed
  stuck: MonitoredExecution[];
  stuck_more: number;
  said: Said; // of the last decision that was answered: what follows one may take long
  about: string; // the execution that it was about
  /** The decisions that the kernel has taken and not yet answered. */
  deciding: { seq: number; id: string; step: string; how: string }[]; // step "": all of them
  again: string; // the Python that shows it after a restart; empty: it is in memory only
  over: string; // why nothing more comes: "the engine is closed: …"; empty: it is alive
}

/** One of what can be decided; trait `ways` lists them. */
export interface Way {
  how: string;
  meaning: string;
  whole: boolean; // it is always about the whole execution
  final: boolean; // nothing comes after it
}

/**
 * A decision; `why` and `by` must not be empty. Trait `who` is what `by` may begin with. The next
 * one is sent when this one is in `deciding`, or answered.
 */
export interface MonitorEdit {
  seq: number;
  id: string;
  step?: string; // only this stuck step; all of them when left out
  how: string; // of a Way
  by: string;
  why: string;
}

// -- the fault matrix --------------------------------------------------------------------------

export interface MatrixState {
  seq: number;
  title: string; // the saga's name
  words: string; // the report, in lines
  steps: string[]; // rows
  columns: string[]; // faults
  /** A field that is not here was not met. */
  cells: {
    row: number;
    column: number;
    status: string; // of the run that it opens, in legend.statuses
    counts: Record<string, number>; // how its runs (one for each attempt that it can strike) ended
    broken: string[]; // invariants that do not hold in one of them
    scenario: string; // of the run that it opens, in words
    code: string; // and as Python
  }[];
  /** The smallest scenarios that break an invariant; they may have several faults. */
  violations: {
    invariant: string;
    count: number; // in so many scenarios
    problem: string; // what the invariant raised, if it raised
    scenario: string;
    code: string;
  }[];
  opened: { cell: [number, number] } | { violation: number } | null;
  said: Said;
}

/**
 * One of these. What is opened is in trait `player` (a PlayerState, {}: nothing is open), which
 * answers a `play` under that one's own `seq`; the trait `answer` is that of the player.
 */
export type MatrixEdit = { seq: number } & (
  | { cell: [number, number] } // row, column
  | { violation: number }
  | { play: PlayerEdit } // to the player that is open
  | { close: true }
);
