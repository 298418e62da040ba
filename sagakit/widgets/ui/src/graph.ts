/** The steps of a saga as boxes and arrows: what each shows, and where it stands. No React. */
import { MarkerType, Position, type Edge, type Node } from "@xyflow/react";
import { arrow, layout, type Layout, type Point, type Size } from "./layout";
import { keyOf, located, opened, sagaAt } from "./places";
import type { Draft, Kind, Problem, State, StepDraft } from "./protocol";
import type { Snapshot } from "./store";

export type Icon = "step" | "wait" | "choice" | "saga" | "for_each" | "connector";

export interface Badge {
  icon: "retry" | "timeout" | "when" | "branch" | "guards" | "read" | "note";
  text: string;
  title: string;
}

// a type, since React Flow wants an index signature, which an interface does not have
export type StepData = {
  name: string;
  kind: Kind;
  icon: Icon;
  about: string; // a second line: its service, what it waits for, how many steps it holds
  badges: Badge[];
  undo: string | null; // its compensation
  problems: number;
  worst: Problem["level"] | null;
  opens: boolean; // it has an inside
  spoken: string; // all of it, for a screen reader
};

export type StepNode = Node<StepData, "step">;

export const WIDTH = 224;
export const MAIN = 62; // the height of a step's box
export const MORE = 24; // of its line of badges
export const TWIN = 30; // of its compensation's box beneath, with what ties them

export const KIND_WORDS: Record<Kind, string> = {
  plain: "has no compensation",
  compensatable: "is undone when a later step fails",
  pivot: "the pivot: the point of no return",
  retriable: "after the pivot: retried until it succeeds",
};

export const GLYPHS: Record<Kind, string> = {
  plain: "•",
  compensatable: "⇆",
  pivot: "◆",
  retriable: "»",
};

// -- one step -----------------------------------------------------------------------------------

export function iconOf(step: StepDraft): Icon {
  if (step.wait) return "wait";
  if (step.choice) return "choice";
  if (step.saga) return "saga";
  if (step.for_each) return "for_each";
  return isConnector(step.action) ? "connector" : "step";
}

/** What simulates an action has these keys only; any other mapping is a connector's. */
function isConnector(action: unknown): boolean {
  const simulated = ["name", "latency", "result"];
  return isMapping(action) && Object.keys(action).some((key) => !simulated.includes(key));
}

/** How an option that is a question is called on the canvas: an expression stands for itself. */
function question(value: unknown, nameless: string): string {
  const parts = isMapping(value) ? Object.values(value) : [];
  return parts.length === 1 && typeof parts[0] === "string" ? parts[0] : callable(value, nameless);
}

/** How a callable's option is called on the canvas. */
function callable(value: unknown, nameless: string): string {
  if (typeof value === "string") return value;
  if (!isMapping(value)) return nameless;
  if (typeof value.name === "string" && value.name) return value.name;
  const [key] = Object.keys(value).filter((one) => isConnector({ [one]: null }));
  return key === undefined ? nameless : key;
}

function about(step: StepDraft): string {
  const parts = [typeof step.service === "string" ? step.service : "", purpose(step)];
  return parts.filter(Boolean).join(" · ");
}

function purpose(step: StepDraft): string {
  const wait = step.wait as { event?: string; timeout?: unknown } | undefined;
  const inner = step.saga as Draft | undefined;
  const each = step.for_each as { items?: unknown; step?: StepDraft } | undefined;
  if (wait?.event) return `waits for ${wait.event}`;
  if (wait) return `waits ${typeof wait.timeout === "number" ? seconds(wait.timeout) : "a time"}`;
  if (step.choice) return `by ${question(step.choice, "a choice")}`;
  if (inner)
    return inner.steps?.length === 1 ? "1 step inside" : `${inner.steps?.length ?? 0} steps inside`;
  if (each) return `each of ${question(each.items, "several")}`;
  const action = callable(step.action, "");
  return action === step.step ? "" : action;
}

export function seconds(value: number): string {
  const units: [number, string][] = [
    [86_400, "d"],
    [3600, "h"],
    [60, "min"],
  ];
  const [size, unit] = units.find(([one]) => value >= one && value % one === 0) ?? [1, "s"];
  return `${value / size} ${unit}`;
}

/** The choice and the key of a branch; a text may have anything else there. */
function branchOf(step: StepDraft): [choice: string, key: string] | null {
  const branch = step.branch;
  const isBranch =
    Array.isArray(branch) &&
    branch.length === 2 &&
    branch.every((part) => typeof part === "string");
  return isBranch ? (branch as [string, string]) : null;
}

/** The condition that a step runs on, in a word; null: it runs in any case. */
export function condition(step: StepDraft): string | null {
  if (step.when === undefined || step.when === null || step.when === true) return null;
  return step.when === false ? "never" : `if ${question(step.when, "a condition")}`;
}

function badges(step: StepDraft, policies: Map<string, string[]>, edgeTells: boolean): Badge[] {
  const retry = step.retry as { attempts?: number } | undefined;
  const when = condition(step);
  const branch = branchOf(step);
  const guards = policies.get(step.service as string) ?? [];
  const found: (Badge | false | null | undefined)[] = [
    when !== null && !edgeTells && { icon: "when", text: when, title: `Runs ${when}` },
    branch &&
      !edgeTells && {
        icon: "branch",
        text: branch[1],
        title: `Runs when '${branch[0]}' says ${branch[1]}`,
      },
    retry && {
      icon: "retry",
      text: retry.attempts ? `${retry.attempts}×` : "on",
      title: retry.attempts ? `At most ${retry.attempts} attempts` : "Is retried",
    },
    typeof step.timeout === "number" && {
      icon: "timeout",
      text: seconds(step.timeout),
      title: `Times out after ${seconds(step.timeout)}`,
    },
    guards.length > 0 && {
      icon: "guards",
      text: "",
      title: `Service '${String(step.service)}' has ${guards.join(", ")}`,
    },
    step.read === true && { icon: "read", text: "", title: "Only reads" },
  ];
  return found.filter((badge): badge is Badge => Boolean(badge));
}

export function sizeOf(data: Pick<StepData, "badges" | "undo">): Size {
  const main = mainHeight(data);
  return { width: WIDTH, height: main + (data.undo === null ? 0 : TWIN), middle: main / 2 };
}

export function mainHeight({ badges }: Pick<StepData, "badges">): number {
  return MAIN + (badges.length > 0 ? MORE : 0);
}

// -- all of them --------------------------------------------------------------------------------

/** The problems of every step, by the step's key; those inside a step count for it too. */
export function problemsByStep(state: State): Map<string, Problem[]> {
  const found = new Map<string, Problem[]>();
  const draft = state.draft;
  if (!draft) return found;
  for (const problem of state.problems) {
    const { at, index } = located(problem.path);
    const step = index === null ? undefined : sagaAt(draft, at)?.steps[index];
    if (!step) continue;
    const names = keyOf(draft, at, step.step).split("/");
    names.forEach((_, i) => {
      const key = names.slice(0, i + 1).join("/");
      found.set(key, [...(found.get(key) ?? []), problem]);
    });
  }
  return found;
}

/** The policies of every service, by its name. */
function policiesOf(draft: Draft): Map<string, string[]> {
  const services = Array.isArray(draft.services)
    ? (draft.services as Record<string, unknown>[])
    : [];
  return new Map(
    services.map(({ service, ...policies }) => {
      const named = Object.keys(policies).filter((key) => policies[key]);
      return [String(service), named.map((key) => `a ${key.replaceAll("_", " ")}`)];
    }),
  );
}

export function stepData(
  snapshot: Pick<Snapshot, "whole" | "at" | "draft" | "state">,
  problems: Map<string, Problem[]>,
): StepData[] {
  const { whole, at, draft, state } = snapshot;
  const policies = policiesOf(whole);
  const prefix = keyOf(whole, at, "");
  return draft.steps.map((step, index) => {
    const key = prefix + step.step;
    const compensation = step.compensation;
    const undo =
      compensation === undefined || compensation === null ? null : callable(compensation, "undo");
    const kind = kindOf(step, Object.hasOwn(state.kinds, key) ? state.kinds[key] : undefined, undo);
    const wrong = problems.get(key) ?? [];
    const data = {
      name: step.step,
      kind,
      icon: iconOf(step),
      about: about(step),
      badges: badges(step, policies, step.after?.length === 1),
      undo,
      problems: wrong.length,
      worst: worst(wrong),
      opens: opened(whole, at, index) !== null,
    };
    return { ...data, spoken: spoken(data, step) };
  });
}

/** As the kernel derives it; until it has answered, what the step itself says. */
function kindOf(step: StepDraft, known: Kind | undefined, undo: string | null): Kind {
  if (step.pivot === true) return "pivot";
  if (known !== undefined && known !== "pivot") return known;
  return undo === null ? "plain" : "compensatable";
}

export function worst(problems: Problem[]): Problem["level"] | null {
  const levels = problems.map(({ level }) => level);
  return (["error", "warning", "note"] as const).find((level) => levels.includes(level)) ?? null;
}

function spoken(data: Omit<StepData, "spoken">, step: StepDraft): string {
  const after = step.after ?? [];
  const parts = [
    data.name,
    KIND_WORDS[data.kind],
    data.about,
    data.undo === null ? "" : `undone by ${data.undo}`,
    after.length > 0 ? `runs after ${after.join(" and ")}` : "runs first",
    condition(step) === null ? "" : `runs ${condition(step)}`,
    ...data.badges.map(({ title }) => title),
    data.problems > 0 ? `${data.problems} ${data.problems === 1 ? "problem" : "problems"}` : "",
    data.opens ? "Enter opens it" : "",
  ];
  return parts.filter(Boolean).join("; ");
}

/**
 * Where every step stands: by hand, or by the layout, and then clear of those placed by hand; and
 * the ways of arrows between steps that stand where the layout has put them.
 */
export function arranged(
  snapshot: Pick<Snapshot, "whole" | "at" | "draft" | "positions">,
  sizes: Map<string, Size>,
): Layout {
  const { whole, at, draft, positions } = snapshot;
  const prefix = keyOf(whole, at, "");
  const laidOut = layout(draft.steps, ({ step }) => sizes.get(step)!, labelWidth);
  const places = new Map(laidOut.places);
  const isFixed = ({ step }: StepDraft) => Object.hasOwn(positions, prefix + step);
  const fixed = draft.steps.filter(isFixed).map(({ step }) => step);
  for (const name of fixed) places.set(name, positions[prefix + name]!);
  if (fixed.length === 0) return laidOut;
  const taken = fixed.map((name) => rectangle(places.get(name)!, sizes.get(name)!));
  for (const { step } of draft.steps.filter((one) => !isFixed(one))) {
    const place = clear(places.get(step)!, sizes.get(step)!, taken);
    places.set(step, place);
    taken.push(rectangle(place, sizes.get(step)!));
  }
  const isMoved = (name: string) => places.get(name) !== laidOut.places.get(name);
  const ways = [...laidOut.ways].filter(([key]) => !(JSON.parse(key) as string[]).some(isMoved));
  return { places, ways: new Map(ways) };
}

type Rectangle = [x: number, y: number, right: number, bottom: number];

function rectangle([x, y]: Point, { width, height }: Size): Rectangle {
  return [x, y, x + width, y + height];
}

const GAP = 12;

/** The place, or the first one beneath it where nothing stands. */
function clear(place: Point, size: Size, taken: Rectangle[]): Point {
  let now = place;
  for (let i = 0; i <= taken.length; i += 1) {
    const [x, y, right, bottom] = rectangle(now, size);
    const hit = taken.find((one) => x < one[2] && one[0] < right && y < one[3] && one[1] < bottom);
    if (!hit) return now;
    now = [now[0], hit[3] + GAP];
  }
  return now;
}

/** The place for a new step, or the first one beneath it where no step stands. */
export function free(place: Point, nodes: StepNode[]): Point {
  const taken = nodes.map(({ position: { x, y }, width, height }) =>
    rectangle([x, y], { width: width!, height: height!, middle: 0 }),
  );
  return clear(place, { width: WIDTH, height: MAIN, middle: 0 }, taken);
}

export function stepNode(data: StepData, [x, y]: Point): StepNode {
  const { width, height, middle } = sizeOf(data);
  // said, not measured: so the arrows of steps that are out of sight can be drawn
  const handle = { y: middle - 6, width: 2, height: 12 };
  return {
    id: data.name,
    type: "step",
    position: { x, y },
    width,
    height,
    data,
    handles: [
      { ...handle, type: "target", position: Position.Left, x: -1 },
      { ...handle, type: "source", position: Position.Right, x: width - 1 },
    ],
  };
}

export function edgesOf(draft: Draft, ways: Layout["ways"] = new Map()): Edge[] {
  const there = new Set(draft.steps.map(({ step }) => step));
  return draft.steps.flatMap((step) =>
    (step.after ?? [])
      .filter((before) => there.has(before))
      .map((before) => edge(before, step, ways.get(arrow(before, step.step)))),
  );
}

function edge(before: string, step: StepDraft, way: Point[] | undefined): Edge {
  const isConditional = condition(step) !== null || branchOf(step) !== null;
  return {
    ...edgeBetween(before, step.step, way),
    label: edgeLabel(before, step) ?? undefined,
    className: isConditional ? "sk-edge sk-conditional" : "sk-edge",
    labelShowBg: true,
    labelBgPadding: [6, 3],
    labelBgBorderRadius: 8,
  };
}

/** An arrow without words. */
export function edgeBetween(from: string, to: string, way: Point[] | undefined): Edge {
  return {
    id: arrow(from, to),
    ...(way && way.length > 0 ? { type: "way", data: { way } } : {}),
    source: from,
    target: to,
    className: "sk-edge",
    markerEnd: { type: MarkerType.ArrowClosed, width: 18, height: 18, color: "var(--sk-edge)" },
    focusable: false,
  };
}

/** What stands on an arrow: the branch's key, or the condition, when it is the step's only arrow. */
function edgeLabel(before: string, step: StepDraft): string | null {
  const branch = branchOf(step);
  const isOnly = step.after.length === 1;
  const label =
    branch && (branch[0] === before || isOnly) ? branch[1] : isOnly ? condition(step) : null;
  return label === null ? null : short(label);
}

/** About how wide it is drawn, with the room around it. */
function labelWidth(before: string, step: StepDraft): number {
  const label = edgeLabel(before, step);
  return label === null ? 0 : label.length * 7 + 28;
}

function short(text: string): string {
  return text.length > 26 ? `${text.slice(0, 25)}…` : text;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// -- the pivot ----------------------------------------------------------------------------------

export interface PivotLine {
  x: number;
  top: number;
  bottom: number;
  right: number; // how far what follows reaches
}

/** A line right of the pivot and left of what follows it; null: there is no pivot. */
export function pivotLine(nodes: StepNode[]): PivotLine | null {
  const pivot = nodes.find(({ data }) => data.kind === "pivot");
  if (!pivot) return null;
  const edge = pivot.position.x + WIDTH;
  const later = nodes.filter(
    ({ data, position }) => data.kind === "retriable" && position.x > edge,
  );
  const next = Math.min(edge + 56, ...later.map(({ position }) => position.x));
  return {
    x: (edge + next) / 2,
    top: Math.min(...nodes.map(({ position }) => position.y)) - 44,
    bottom: Math.max(...nodes.map(({ position, height }) => position.y + height!)) + 28,
    right: Math.max(edge + 160, ...nodes.map(({ position }) => position.x + WIDTH + 28)),
  };
}

// -- moving about -------------------------------------------------------------------------------

export type Direction = "left" | "right" | "up" | "down";

const AHEAD: Record<Direction, Point> = { left: [-1, 0], right: [1, 0], up: [0, -1], down: [0, 1] };

/** The step that an arrow key leads to: the nearest ahead, what is off to the side counting more. */
export function neighbour(
  nodes: StepNode[],
  from: string | undefined,
  to: Direction,
): string | null {
  const start = nodes.find(({ id }) => id === from);
  if (!start) return nodes[0]?.id ?? null;
  const [dx, dy] = AHEAD[to];
  let best: [number, string] | null = null;
  for (const node of nodes) {
    const x = node.position.x - start.position.x;
    const y =
      node.position.y + mainHeight(node.data) / 2 - start.position.y - mainHeight(start.data) / 2;
    const ahead = x * dx + y * dy;
    const aside = Math.abs(x * dy) + Math.abs(y * dx);
    if (node === start || ahead <= 1) continue;
    const far = ahead + aside * 2;
    if (!best || far < best[0]) best = [far, node.id];
  }
  return best?.[1] ?? null;
}

/** The steps that a search finds: by name, by service, by what it calls. */
export function found(draft: Draft, text: string): StepDraft[] {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  const matches = (step: StepDraft) =>
    [step.step, about(step), callable(step.compensation, ""), step.description]
      .filter((part): part is string => typeof part === "string")
      .some((part) => part.toLowerCase().includes(wanted));
  return draft.steps.filter(matches);
}
