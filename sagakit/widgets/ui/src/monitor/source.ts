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
 * Of edits that wait for a busy kernel only the last one would come there. So a decision is sent
 * when the one before it has been taken; it may be answered much later.
 */
export class MonitorSource {
  readonly who: string;
  readonly ways: Way[];
  readonly state: Source<MonitorState, Decision>;
  private queue: Decision[] = [];
  private sent: MonitorEdit | null = null; // the kernel has not yet taken it
  private shown: Pending[] = [];
  private answered: Answers = new Map();
  private heard = ""; // the answer that came last
  private apart = 0; // seconds by which the kernel's clock is ahead of the page's
  lost = 0; // decisions that were on their way when the kernel went

  constructor(private readonly model: Model) {
    const post = sender<MonitorEdit>(model);
    this.state = new Source(this.read, (edit) => {
      this.sent = edit;
      post(edit);
    });
    this.who = (model.get("who") as string | undefined) ?? "";
    this.ways = (model.get("ways") as Way[] | undefined) ?? [];
    this.list();
    this.hear();
    model.on("change:state", this.receive);
    model.on("comm_live_update", this.lose);
  }

  /** The kernel's time, in seconds since the epoch. */
  now = (): number => Date.now() / 1000 + this.apart;

  /** Decisions that are not answered yet; the same array until there are others. */
  pending = (): Pending[] => this.shown;

  /** What came of decisions: each error until that execution is decided anew, of the rest the last. */
  answers = (): Answers => this.answered;

  decide = (decision: Decision): void => {
    this.queue.push(decision);
    this.heard = ""; // what comes may say the same again
    this.answered = new Map([...this.answered].filter(([id]) => id !== decision.id));
    this.next();
    this.state.receive();
  };

  /** The state; its `seq` is the last that was taken: a page that is loaded anew goes on from it. */
  private read = (): MonitorState => {
    const state = this.model.get("state") as MonitorState;
    return { ...state, seq: Math.max(state.seq, ...state.deciding.map(({ seq }) => seq)) };
  };

  private receive = (): void => {
    const { at, seq } = this.read();
    const ahead = at - Date.now() / 1000;
    this.apart = Math.abs(ahead) > APART ? ahead : 0;
    if (this.sent && seq >= this.sent.seq) this.sent = null;
    this.next();
    this.hear();
    this.state.receive();
  };

  private lose = (): void => {
    this.lost += this.shown.length; // this may be told more than once
    this.queue = [];
    this.sent = null;
    this.shown = [];
    this.state.lose();
  };

  /** Keep the answer that the state tells: of the next decision there will be another one. */
  private hear(): void {
    const { about, said } = this.read();
    const heard = JSON.stringify([about, said]);
    if (!said || heard === this.heard || this.shown.some(({ id }) => id === about)) return;
    this.heard = heard;
    const errors = [...this.answered].filter(
      ([of, { level }]) => of !== about && level === "error",
    );
    this.answered = new Map([...errors, [about, said]]);
  }

  /** Send the next one, if the kernel has the last; and list what is on its way. */
  private next(): void {
    const decision = this.sent ? undefined : this.queue.shift();
    if (decision) this.state.send(decision);
    this.list();
  }

  private list(): void {
    const own = [...(this.sent ? [this.sent] : []), ...this.queue];
    const pending = [...this.read().deciding, ...own].map(({ id, step = "", how }): Pending => ({
      id,
      step,
      how,
    }));
    const isSame = JSON.stringify(pending) === JSON.stringify(this.shown);
    if (!isSame) this.shown = pending;
  }
}
