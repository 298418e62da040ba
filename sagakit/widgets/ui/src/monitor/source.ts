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
  private heard = ""; // the answer that came last
  private apart = 0; // seconds by which the kernel's clock is ahead of the page's
  lost = 0; // decisions that were on their way when the kernel went

  constructor(private readonly model: Model) {
    this.state = new Source<MonitorState, Decision>(this.read, sender(model));
    this.who = (model.get("who") as string | undefined) ?? "";
    this.ways = (model.get("ways") as Way[] | undefined) ?? [];
    model.on("change:state", this.receive);
    model.on("comm_live_update", this.lose);
  }

  /** The kernel's time, in seconds since the epoch. */
  now = (): number => Date.now() / 1000 + this.apart;

  decide = (decision: Decision): void => {
    // what comes may say the same again
    if (this.state.get().state.about === decision.id) this.heard = "";
    this.answered = new Map([...this.answered].filter(([id]) => id !== decision.id));
    this.state.send(decision);
  };

  /** Decisions that are not answered yet; the same array until there are others. */
  pending = (): Pending[] => {
    const { connected, state } = this.state.get();
    const all = connected ? [...state.deciding, ...this.state.owed()] : [];
    const pending = all.map(({ id, step = "", how }): Pending => ({ id, step, how }));
    if (JSON.stringify(pending) !== JSON.stringify(this.shown)) this.shown = pending;
    return this.shown;
  };

  /** What came of decisions: each error until that execution is decided anew, of the rest the last. */
  answers = (): Answers => {
    const { about, said } = this.state.get().state;
    const heard = JSON.stringify([about, said]);
    // while one is decided about, what is told is still of the decision before
    if (said && heard !== this.heard && !this.pending().some(({ id }) => id === about)) {
      this.heard = heard;
      const kept = [...this.answered].filter(
        ([id, { level }]) => id !== about && level === "error",
      );
      this.answered = new Map([...kept, [about, { ...said }]]);
    }
    return this.answered;
  };

  /** The state; its `seq` is the last that was taken: a page that is loaded anew goes on from it. */
  private read = (): MonitorState => {
    const state = this.model.get("state") as MonitorState;
    return { ...state, seq: Math.max(state.seq, ...state.deciding.map(({ seq }) => seq)) };
  };

  private receive = (): void => {
    const ahead = this.read().at - Date.now() / 1000;
    this.apart = Math.abs(ahead) > APART ? ahead : 0;
    this.state.receive();
    this.answers(); // also where nobody looks: the next one takes its place in the state
  };

  private lose = (): void => {
    this.lost += this.pending().length; // this may be told more than once
    this.state.lose();
  };
}
