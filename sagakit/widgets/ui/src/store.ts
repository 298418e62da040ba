/**
 * What the page knows of one saga: the draft, where the user is in it, and everything done to it.
 *
 * Pure: it draws nothing and knows no widget. Gestures come in by its methods, messages to the
 * kernel go out by `send`, and what the kernel says comes in by `receive`.
 */
import { copy, follow, paste, Refusal, remove, renames, type Added } from "./edits";
import { keyOf, located, nearest, opened, sagaAt, trail, withSagaAt } from "./places";
import { same } from "./same";
import type { Catalogue, DataModel, Draft, Edit, Path, State, StepDraft } from "./protocol";

export type Positions = Record<string, [number, number]>;

const DEPTH = 100; // gestures that can be undone
const READING = "The kernel is still reading: try again in a moment";

/** Everything that a gesture can change. `text` is null until the kernel has said it. */
interface Memento {
  whole: Draft;
  positions: Positions;
  model: DataModel;
  text: string | null;
}

interface Gesture {
  label: string;
  before: Memento;
  after: Memento;
  seq: number; // the message that told it; 0: the kernel's own doing
  unread?: boolean; // a text of which the kernel has not yet said what draft it is
  at: Path; // where the user was, and what was selected
  selected: string[];
}

export interface Notice {
  text: string;
  level: "info" | "error";
  count: number; // the same words again are said again
}

/** What the page shows; a new object whenever something has changed. */
export interface Snapshot {
  whole: Draft;
  at: Path;
  draft: Draft; // the saga at that place
  positions: Positions;
  selected: string[];
  state: State;
  catalogue: Catalogue;
  undo: string | null; // the gesture that would be undone
  redo: string | null;
  notice: Notice | null;
  readable: boolean; // false: the YAML text cannot be read, the draft is the last that could
  connected: boolean; // false: the kernel has gone
  answered: boolean; // the kernel has answered every gesture
  revealed: { path: Path; rest: Path; count: number } | null;
}

export class Store {
  private snapshot: Snapshot;
  private listeners = new Set<() => void>();
  private past: Gesture[] = [];
  private future: Gesture[] = [];
  private seq: number;
  private unanswered: Edit[] = [];
  private reading = 0; // the message from which on only the kernel knows the draft; 0: none
  private flushing = false;
  private clipboard: string | null = null;

  constructor(
    state: State,
    catalogue: Catalogue,
    private readonly send: (edit: Edit) => void,
    lastSeq = 0,
  ) {
    this.seq = Math.max(state.seq, lastSeq);
    const whole = state.draft ?? { saga: "saga", steps: [] };
    this.snapshot = {
      whole,
      at: [],
      draft: whole,
      positions: state.positions,
      selected: [],
      state,
      catalogue,
      undo: null,
      redo: null,
      notice: null,
      readable: state.draft !== null,
      connected: true,
      answered: true,
      revealed: null,
    };
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  get = (): Snapshot => this.snapshot;

  // -- gestures on the saga in view ---------------------------------------------------------

  /** One gesture: it is undone as one, and told to the kernel as one. False: it was refused. */
  apply = (
    label: string,
    change: (draft: Draft) => Draft,
    { select, place }: { select?: string[]; place?: Positions } = {},
  ): boolean => {
    const { at, draft, selected } = this.snapshot;
    return this.attempt(() => {
      const wanted = change(draft);
      const names = renames(draft, wanted);
      const now = names.size > 0 ? follow(wanted, names) : wanted;
      if (now === draft && !place) return;
      this.checkPlace(now);
      const whole = withSagaAt(this.snapshot.whole, at, now);
      const moved = this.movedNames(names);
      const positions = place ? { ...moved, ...this.keyed(place) } : moved;
      this.record(label, { whole, positions });
      this.select(select ?? selected.map((name) => names.get(name) ?? name));
    });
  };

  /** As `apply`, for what makes steps: they are selected, and stand where `place` says. */
  add = (label: string, make: (draft: Draft) => Added, place?: [number, number][]): boolean => {
    let added: Added | null = null;
    const { draft } = this.snapshot;
    const refused = !this.attempt(() => {
      added = make(draft);
    });
    if (refused || !added) return false;
    const { draft: now, names } = added as Added;
    const places = place
      ? Object.fromEntries(names.map((name, i) => [name, place[i] ?? place[0]!]))
      : undefined;
    return this.apply(label, () => now, { select: names, place: places });
  };

  /** Steps of the saga in view were moved by hand. */
  move = (label: string, places: Positions): void => {
    const positions = { ...this.snapshot.positions, ...this.keyed(places) };
    this.attempt(() => this.record(label, { positions }));
  };

  /** The steps of the saga in view stand where the layout puts them, also those moved by hand. */
  layOut = (): void => {
    const { draft, whole, at, positions } = this.snapshot;
    const keys = new Set(draft.steps.map(({ step }) => keyOf(whole, at, step)));
    const kept = Object.entries(positions).filter(([key]) => !keys.has(key));
    if (kept.length === Object.keys(positions).length)
      return this.say("Every step stands in its place");
    this.attempt(() => this.record("Lay out the steps", { positions: Object.fromEntries(kept) }));
  };

  editText = (text: string): void => {
    if (text === this.snapshot.state.text) return;
    if (this.isReading()) return this.typeOn(text);
    this.record("Edit the YAML", { text });
    this.past.at(-1)!.unread = true;
    this.reading = this.seq;
  };

  /** The user types on while the kernel still reads: the same gesture, with a later text. */
  private typeOn(text: string): void {
    const last = this.past.at(-1);
    if (last?.seq !== this.reading) return this.refuseWaiting(); // it reads a file
    last.after = { ...last.after, text };
    last.seq = this.reading = this.tell({ text });
    this.change({ state: { ...this.snapshot.state, text } });
  }

  editModel = (label: string, model: DataModel): void => {
    this.attempt(() => this.record(label, { model }));
  };

  // -- files --------------------------------------------------------------------------------

  save = (path: string): void => {
    this.tell({ save: path });
    this.change({});
  };

  load = (path: string): void => {
    if (this.isReading()) return this.refuseWaiting();
    this.reading = this.tell({ load: path });
    this.change({});
  };

  // -- undo, redo ---------------------------------------------------------------------------

  undo = (): void => {
    const gesture = this.past.at(-1);
    if (!gesture) return this.say("There is nothing to undo");
    if (this.isReading() && !gesture.unread) return this.refuseWaiting(); // it reads a file
    this.past.pop();
    this.future.push(gesture);
    this.restore(gesture, gesture.before, gesture.after);
    this.say(`Undone: ${gesture.label}`);
  };

  redo = (): void => {
    const gesture = this.future.at(-1);
    if (!gesture) return this.say("There is nothing to redo");
    if (this.isReading()) return this.refuseWaiting();
    this.future.pop();
    this.past.push(gesture);
    this.restore(gesture, gesture.after, gesture.before);
    this.say(`Done again: ${gesture.label}`);
  };

  private restore(gesture: Gesture, to: Memento, from: Memento): void {
    const edit = difference(from, to);
    const isBack = to === gesture.before;
    // the kernel may have read the text by now: only the draft takes it back
    if (gesture.unread && isBack && edit.text === undefined) edit.draft = to.whole;
    gesture.seq = this.tell(edit);
    this.reading = gesture.unread && !isBack ? gesture.seq : 0;
    const { state } = this.snapshot;
    this.change({
      ...this.view(to.whole, gesture.at),
      positions: to.positions,
      state: {
        ...state,
        text: to.text ?? state.text,
        data: to.model === state.data.model ? state.data : { ...state.data, model: to.model },
      },
      readable: true,
    });
    this.select(gesture.selected);
  }

  // -- clipboard ----------------------------------------------------------------------------

  /** The selected steps as text (JSON, which is YAML too); null when none is selected. */
  copy = (): string | null => {
    const { draft, selected } = this.snapshot;
    if (selected.length === 0) {
      this.say("Select the steps to copy first");
      return null;
    }
    const steps = copy(draft, selected);
    this.clipboard = JSON.stringify({ steps }, null, 1);
    this.say(`Copied ${counted(steps.length)}`);
    return this.clipboard;
  };

  cut = (): string | null => {
    const text = this.copy();
    return text !== null && this.removeSelected("Cut") ? text : null;
  };

  /** Steps from the clipboard: from this text when it holds some, else the last that were copied. */
  paste = (text?: string): void => {
    const steps = stepsIn(text) ?? stepsIn(this.clipboard);
    if (!steps) return this.say("There are no steps in the clipboard");
    this.add(`Paste ${counted(steps.length)}`, (draft) => paste(draft, steps));
  };

  removeSelected = (verb = "Remove"): boolean => {
    const { selected } = this.snapshot;
    if (selected.length === 0) {
      this.say("Select the steps to remove first");
      return false;
    }
    const what = selected.length === 1 ? `'${selected[0]}'` : counted(selected.length);
    return this.apply(`${verb} ${what}`, (draft) => remove(draft, selected), { select: [] });
  };

  // -- where the user is ----------------------------------------------------------------------

  select = (names: string[]): void => {
    const { draft, selected } = this.snapshot;
    const there = new Set(draft.steps.map(({ step }) => step));
    const kept = names.filter((name) => there.has(name));
    if (kept.length === selected.length && kept.every((name, i) => name === selected[i])) return;
    this.change({ selected: kept });
  };

  /** Shows the saga at a place. */
  open = (at: Path): void => {
    this.change({ ...this.view(this.snapshot.whole, at), selected: [] });
    this.say(`Saga '${this.snapshot.draft.saga}', ${counted(this.snapshot.draft.steps.length)}`);
  };

  /** Shows what is inside a step of the saga in view; false: it has no inside. */
  enter = (name: string): boolean => {
    const { whole, at, draft } = this.snapshot;
    const place = opened(
      whole,
      at,
      draft.steps.findIndex(({ step }) => step === name),
    );
    if (place) this.open(place);
    return place !== null;
  };

  /** Back to the saga around the one in view. */
  leave = (): void => {
    const { whole, at } = this.snapshot;
    const around = trail(whole, at);
    const from = around[around.length - 1];
    if (!from) return;
    this.open(around[around.length - 2]?.at ?? []);
    this.select([from.name]);
  };

  reveal = (path: Path): void => {
    const { at, index, rest } = located(path);
    const saga = sagaAt(this.snapshot.whole, at);
    if (!saga) return this.say("What the problem is about is not there any more");
    const name = index === null ? undefined : saga.steps[index]?.step;
    const count = (this.snapshot.revealed?.count ?? 0) + 1;
    this.change({
      ...this.view(this.snapshot.whole, at),
      selected: name === undefined ? [] : [name],
      revealed: { path, rest, count },
    });
  };

  say = (text: string, level: Notice["level"] = "info"): void => {
    this.change({ notice: { text, level, count: (this.snapshot.notice?.count ?? 0) + 1 } });
  };

  // -- the kernel ---------------------------------------------------------------------------

  /** A state from the kernel: the answer to a gesture, or its own doing. */
  receive = (state: State): void => {
    const before = this.memento();
    this.unanswered = this.unanswered.filter(({ seq }) => seq > state.seq || state.seq === 0);
    if (state.seq !== 0 && state.seq < this.seq) return; // a later answer is on its way
    const isOwn = state.seq === this.seq && state.seq !== 0;
    if (state.seq >= this.reading) this.reading = 0;
    this.seq = Math.max(this.seq, state.seq);
    const whole = state.draft === null ? before.whole : same(before.whole, state.draft);
    const after: Memento = {
      whole,
      positions: same(before.positions, state.positions),
      model: same(before.model, state.data.model),
      text: state.text,
    };
    const isLost = state.draft === null && this.snapshot.readable;
    const isChange = whole !== before.whole || after.model !== before.model || isLost;
    const isSettled = isOwn && this.settle(after);
    const label = isOwn ? "Load a saga" : "Change from the notebook";
    if (!isSettled && isChange) this.remember(label, before, after, 0);
    this.change({
      ...this.view(whole, this.snapshot.at),
      positions: after.positions,
      state: same(this.snapshot.state, state),
      readable: state.draft !== null,
      connected: true,
    });
    this.select(this.snapshot.selected);
    if (state.said) this.say(state.said.text, state.said.level);
  };

  receiveCatalogue = (catalogue: Catalogue): void => this.change({ catalogue });

  /** The kernel has gone, or is back. */
  connection = (connected: boolean): void => {
    if (connected !== this.snapshot.connected) this.change({ connected });
  };

  // -- inside -------------------------------------------------------------------------------

  /** What the last gesture led to is what the kernel made of it; false: the message was none. */
  private settle(after: Memento): boolean {
    const last = [...this.past, ...this.future].find(({ seq }) => seq === this.seq);
    if (!last) return false;
    if (this.future.includes(last)) last.before = after;
    else [last.after, last.unread] = [after, false];
    return true;
  }

  private memento(): Memento {
    const { whole, positions, state } = this.snapshot;
    const isOld = this.unanswered.some(
      (edit) => "draft" in edit || "text" in edit || "model" in edit,
    );
    return { whole, positions, model: state.data.model, text: isOld ? null : state.text };
  }

  private record(label: string, now: Partial<Memento>): void {
    const before = this.memento();
    const after: Memento = { ...before, text: null, ...now };
    const edit = difference(before, after);
    if (Object.keys(edit).length === 0) return;
    const seq = this.tell(edit);
    this.remember(label, before, after, seq);
    const { state } = this.snapshot;
    this.change({
      ...this.view(after.whole, this.snapshot.at),
      positions: after.positions,
      state: {
        ...state,
        text: after.text ?? state.text,
        data: { ...state.data, model: after.model },
      },
    });
    this.say(label);
  }

  private remember(label: string, before: Memento, after: Memento, seq: number): void {
    const { at, selected } = this.snapshot;
    this.past = [...this.past.slice(1 - DEPTH), { label, before, after, seq, at, selected }];
    this.future = [];
  }

  /**
   * Tells the kernel. What it has not answered yet is told again along with the new: while it is
   * busy, a widget's manager keeps only the last value of a trait.
   */
  private tell(edit: Omit<Edit, "seq">): number {
    this.seq += 1;
    this.unanswered.push({ ...edit, seq: this.seq });
    if (!this.flushing) {
      this.flushing = true;
      queueMicrotask(() => {
        this.flushing = false;
        this.send(merged(this.unanswered));
      });
    }
    return this.seq;
  }

  private attempt(gesture: () => void): boolean {
    try {
      if (!this.snapshot.readable) {
        throw new Refusal("The YAML text cannot be read: mend it in the YAML tab, or undo");
      }
      if (this.isReading()) throw new Refusal(READING);
      gesture();
      return true;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.say(error.message, "error");
      return false;
    }
  }

  /** Whether the kernel has yet to say what the draft is: it reads a text or a file. */
  private isReading(): boolean {
    return this.snapshot.connected && this.reading > 0;
  }

  private refuseWaiting(): void {
    this.say(READING, "error");
  }

  private checkPlace(now: Draft): void {
    const { at, draft } = this.snapshot;
    if (at[at.length - 1] !== "for_each" || now.steps.length === 1) return;
    throw new Refusal(
      `for each item there is one step, '${draft.saga}': make it a sub-saga, and put the steps into that`,
    );
  }

  private keyed(places: Positions): Positions {
    const { whole, at } = this.snapshot;
    return Object.fromEntries(
      Object.entries(places).map(([name, place]) => [keyOf(whole, at, name), place]),
    );
  }

  /** The positions, where steps of the saga in view got other names: theirs, and those inside. */
  private movedNames(names: Map<string, string>): Positions {
    const { positions, whole, at } = this.snapshot;
    if (names.size === 0) return positions;
    const keys = [...names].map(
      ([from, to]) => [keyOf(whole, at, from), keyOf(whole, at, to)] as const,
    );
    const moved = (key: string) => {
      const found = keys.find(([from]) => key === from || key.startsWith(`${from}/`));
      return found ? found[1] + key.slice(found[0].length) : key;
    };
    return Object.fromEntries(Object.entries(positions).map(([key, place]) => [moved(key), place]));
  }

  private view(whole: Draft, at: Path): Pick<Snapshot, "whole" | "at" | "draft"> {
    const place = nearest(whole, at);
    const now = samePath(place, this.snapshot.at) ? this.snapshot.at : place;
    return { whole, at: now, draft: same(this.snapshot.draft, sagaAt(whole, now)!) };
  }

  private change(parts: Partial<Snapshot>): void {
    const labels = {
      undo: this.past.at(-1)?.label ?? null,
      redo: this.future.at(-1)?.label ?? null,
    };
    this.snapshot = {
      ...this.snapshot,
      ...parts,
      ...labels,
      answered: this.unanswered.length === 0,
    };
    for (const listener of this.listeners) listener();
  }
}

/** What leads from one to the other. The text, where both are known: it has the user's comments. */
function difference(from: Memento, to: Memento): Omit<Edit, "seq"> {
  const edit: Omit<Edit, "seq"> = {};
  if (to.text !== null && to.text !== from.text) edit.text = to.text;
  else if (to.whole !== from.whole) edit.draft = to.whole;
  if (to.positions !== from.positions) edit.positions = to.positions;
  if (to.model !== from.model) edit.model = to.model;
  return edit;
}

/** Several edits as one. Of draft and text the later holds: it was made of the earlier. */
function merged(edits: Edit[]): Edit {
  return edits.reduce((all, edit) => {
    const { draft: _, text: __, ...rest } = all;
    const isNew = edit.draft !== undefined || edit.text !== undefined;
    return { ...(isNew ? rest : all), ...edit };
  });
}

function stepsIn(text: string | null | undefined): StepDraft[] | null {
  if (!text) return null;
  try {
    const found = (JSON.parse(text) as { steps?: unknown }).steps;
    const steps = Array.isArray(found) ? (found as Partial<StepDraft>[]) : [];
    const fine = steps.filter(({ step }) => typeof step === "string");
    return fine.length > 0
      ? fine.map((step) => ({ ...step, after: step.after ?? [] }) as StepDraft)
      : null;
  } catch {
    return null; // some other text
  }
}

function samePath(one: Path, other: Path): boolean {
  return one.length === other.length && one.every((key, i) => key === other[i]);
}

export function counted(steps: number): string {
  return steps === 1 ? "1 step" : `${steps} steps`;
}
