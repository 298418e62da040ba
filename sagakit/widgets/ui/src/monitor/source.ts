/** What the monitor is drawn from: its state, and the decisions that are on their way. No React. */
import type { Model } from "../model";
import { Source, sender } from "../watch/source";
import type { MonitorEdit, MonitorState, Said, Way } from "../watching";

export type Decision = Omit<MonitorEdit, "seq">;

/** A decision that is not answered yet. */
export interface Pending {
  id: string;
  step: string; // empty: all of the execution's
  how: string;
}

export type Answers = ReadonlyMap<string, NonNullable<Said>>; // by the id of an execution

const APART = 5; // seconds; less than that is no other clock, but a message's way

/**
 * A decision is taken by the kernel at once, so that the next one can be sent, and may be answered
 * much later.
 */
export class MonitorSource {
  readonly who: string;
  readonly ways: Way[];
  readonly state: Source<MonitorState, Decision>;
  private shown: Pending[] = [];
  private answered: Answers = new Map();
  private heard: MonitorState | null = null; // with the answer that came last
  private apart = 0; // seconds by which the kernel's clock is ahead of the page's
  private views = 0; // in which it is shown
  lost = 0; // decisions that were on their way when the kernel went

  constructor(private readonly model: Model) {
    this.state = new Source<MonitorState, Decision>(this.read, sender(model));
    this.who = (model.get("who") as string | undefined) ?? "";
    this.ways = (model.get("ways") as Way[] | undefined) ?? [];
    this.hear();
    this.state.subscribe(this.hear); // before those who draw
    model.on("change:state", this.receive);
    model.on("comm_live_update", this.lose);
  }

  /** The kernel's time, in seconds since the epoch. */
  now = (): number => Date.now() / 1000 + this.apart;

  /** Decisions that are not answered yet; the same array until there are others. */
  pending = (): Pending[] => {
    const { connected, state } = this.state.get();
    const all = connected ? [...state.deciding, ...this.state.owed()] : [];
    const pending = all.map(({ id, step = "", how }): Pending => ({ id, step, how }));
    if (JSON.stringify(pending) !== JSON.stringify(this.shown)) this.shown = pending;
    return this.shown;
  };

  /** What came of decisions: each error until that execution is decided anew, of the rest the last. */
  answers = (): Answers => this.answered;

  decide = (decision: Decision): void => {
    if (this.heard?.about === decision.id) this.heard = null; // what comes may say the same again
    this.answered = new Map([...this.answered].filter(([id]) => id !== decision.id));
    this.state.send(decision);
  };

  /** It is shown, until what this gives is called: while nobody looks, the kernel does not read. */
  show = (): (() => void) => {
    this.look(1);
    return () => this.look(-1);
  };

  private look(more: number): void {
    this.views += more;
    if (!this.state.get().connected) return;
    this.model.set("shown", this.views > 0);
    this.model.save_changes();
  }

  /** The state; its `seq` is the last that was taken: a page that is loaded anew goes on from it. */
  private read = (): MonitorState => {
    const state = this.model.get("state") as MonitorState;
    return { ...state, seq: Math.max(state.seq, ...state.deciding.map(({ seq }) => seq)) };
  };

  private receive = (): void => {
    const ahead = this.read().at - Date.now() / 1000;
    this.apart = Math.abs(ahead) > APART ? ahead : 0;
    this.state.receive();
  };

  private lose = (): void => {
    this.lost += this.pending().length; // this may be told more than once
    this.state.lose();
  };

  /** Keep the answer that the state tells: of the next decision there will be another one. */
  private hear = (): void => {
    const { state } = this.state.get();
    const { about, said } = state;
    // what says the same is the same object, see `same`
    const isKnown = this.heard?.about === about && this.heard.said === said;
    if (!said || isKnown || this.pending().some(({ id }) => id === about)) return;
    this.heard = state;
    const errors = [...this.answered].filter(
      ([of, { level }]) => of !== about && level === "error",
    );
    this.answered = new Map([...errors, [about, { ...said }]]);
  };
}
