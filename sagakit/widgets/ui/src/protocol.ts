/**
 * What the kernel and the page tell each other, and what the parts of the page share.
 *
 * Three traits of `SagaDesigner` (sagakit/widgets/designer.py):
 * - `state`     kernel -> page: the saga as it is now, in every form;
 * - `catalogue` kernel -> page: what can be put on the canvas, and the schema of every option;
 * - `edit`      page -> kernel: one gesture. The kernel answers with a `state` of the same `seq`.
 */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Path = (string | number)[];

/** A saga as the YAML form has it (data/saga.schema.json); every step's `after` is written out. */
export interface Draft {
  saga: string;
  steps: StepDraft[];
  [option: string]: unknown; // version, description, input, deadline, services, redact
}

/** A step as the YAML form has it: `step` is its name, the other keys are its options. */
export interface StepDraft {
  step: string;
  after: string[];
  [option: string]: unknown; // action, wait, choice, saga, for_each, branch, pivot, retry, …
}

export type Kind = "plain" | "compensatable" | "pivot" | "retriable";

/** One thing that is wrong, or could be better, and where: the library's own words. */
export interface Problem {
  level: "error" | "warning" | "note"; // error: there is no saga; the others are from `check`
  text: string;
  cure?: string;
  rule?: string; // the id of the rule of `check`
  path: Path; // from the draft inwards: ["steps", 2, "retry", "attempts"]; [] is the saga
  line?: number; // in the YAML text, from 1
}

export interface DataModel {
  input?: string; // the entity that is the saga's input
  entities: Entity[];
}
export interface Entity {
  name: string;
  service?: string;
  description?: string;
  fields: Field[];
  relations: Relation[];
}
export interface Field {
  name: string;
  type: string; // one of Catalogue.field_types
  key?: boolean;
  optional?: boolean;
  description?: string;
}
export interface Relation {
  name: string;
  to: string; // an entity
  kind: "one" | "many";
}

export interface State {
  seq: number; // the edit that this answers; 0: the kernel's own doing
  draft: Draft | null; // null: the text cannot be read; the page keeps the last draft, greyed
  text: string; // the YAML form
  python: string; // the generated code
  problems: Problem[];
  kinds: Record<string, Kind>; // by step; of a step within a step "payment/authorize"
  positions: Record<string, [number, number]>; // steps moved by hand, keyed as kinds are
  data: { model: DataModel; picture: string; python: string; problems: Problem[] }; // picture: SVG
  said: { text: string; level: "info" | "error" } | null; // of a save or load
}

/** What can be dragged onto the canvas: `step` is put there under a name that is free. */
export interface PaletteEntry {
  group: string; // "Steps", "Connectors", "Actions", "Sagas"
  label: string;
  title: string; // a tooltip: a function's first line of doc, for instance
  icon: string; // "step" "pivot" "wait" "saga" "for_each" "choice" "connector" "action"
  step: Omit<StepDraft, "after">;
}

export interface Catalogue {
  palette: PaletteEntry[];
  actions: string[]; // names that a callable's option can take
  /** JSON Schema (2020-12) of the YAML form with `$defs`: every option, its type, its description. */
  schema: Json;
  field_types: string[];
  files: string[]; // sagas that can be loaded
}

/** One gesture: any of these together. */
export interface Edit {
  seq: number;
  draft?: Draft;
  text?: string;
  positions?: Record<string, [number, number]>;
  model?: DataModel;
  save?: string; // a path
  load?: string;
}

/** What every panel is given. A panel changes nothing but through `apply`, `editText`, `editModel`. */
export interface PanelProps {
  whole: Draft; // the outermost saga
  at: Path; // where the saga in view stands in it: [] or ["steps", 3, "saga"]
  draft: Draft; // the saga in view
  state: State;
  catalogue: Catalogue;
  selected: string[]; // names of steps of the saga in view
  /** One undoable gesture on the saga in view, one message. `label` is said to screen readers. */
  apply(label: string, change: (draft: Draft) => Draft): void;
  editText(text: string): void;
  editModel(label: string, model: DataModel): void;
  select(names: string[]): void;
  /**
   * Shows what a problem's path leads to: opens the saga, selects the step, focuses the field. The
   * forms mark each field for it by `data-path`: the path from the step or the saga on, joined
   * with dots ("retry.attempts", "services.0.breaker"); the nearest field around it is taken.
   */
  reveal(path: Path): void;
}
