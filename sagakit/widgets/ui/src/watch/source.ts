/** What a widget is shown from, and by which it tells: the traits of one model, or parts of them. */
import type { Model } from "../model";
import { same } from "../same";
import type {
  MatrixEdit,
  MatrixState,
  PlayerAnswer,
  PlayerEdit,
  PlayerState,
  Said,
} from "../watching";

export interface Snapshot<S> {
  state: S;
  asked: string[]; // what the last edit was about: its keys, so that an error is said there
  waits: boolean; // the kernel has not answered it yet
  connected: boolean;
}

/**
 * Tells the kernel one gesture at a time, and its answers to whoever draws. Of edits that wait for a
 * busy kernel only the last one would come there, so each waits here for the answer to the one before.
 */
export class Source<S extends { seq: number; said: Said }, E extends object> {
  private shown: Snapshot<S>;
  private readonly listeners = new Set<() => void>();
  private seq: number; // of the last edit
  private answered: number; // up to this one they are
  private last: E | null = null; // it was sent
  private queue: E[] = [];

  constructor(
    private readonly read: () => S,
    private readonly post: (edit: E & { seq: number }) => void,
  ) {
    const state = read();
    this.seq = this.answered = state.seq;
    this.shown = { state, asked: [], waits: false, connected: true };
  }

  get = (): Snapshot<S> => this.shown;

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** There is a new state; what is in it as before stays the same object. */
  receive = (): void => {
    const state = same(this.shown.state, this.read());
    // a state of number 0 is no answer: Python asked for another run, or something has happened
    this.answered = Math.max(this.answered, state.seq);
    this.seq = Math.max(this.seq, state.seq);
    const waits = this.answered < this.seq;
    this.change({ state, waits, connected: true });
    const next = waits ? undefined : this.queue.shift();
    if (next) this.send(next);
  };

  send = (edit: E): void => {
    if (this.shown.waits) {
      this.queue.push(edit);
      return this.change({});
    }
    this.seq += 1;
    this.last = edit;
    this.change({ asked: Object.keys(edit), waits: true });
    this.post({ ...edit, seq: this.seq });
  };

  /** What the kernel has not answered yet, in order. */
  owed = (): E[] => (this.shown.waits ? [this.last!, ...this.queue] : []);

  lose = (): void => {
    this.queue = [];
    this.answered = this.seq;
    this.change({ connected: false, waits: false });
  };

  protected change(more: Partial<Snapshot<S>>): void {
    this.shown = { ...this.shown, ...more };
    for (const listener of this.listeners) listener();
  }
}

/** The state of a player, with the answer to what was guessed. */
export type Played = PlayerState & { answer: PlayerAnswer | null };
export type PlayerSource = Source<Played, Omit<PlayerEdit, "seq">>;

export function answerOf(model: Model): PlayerAnswer | null {
  const answer = model.get("answer") as PlayerAnswer | Record<string, never>;
  return "right" in answer ? (answer as PlayerAnswer) : null;
}

export function sender<E>(model: Model): (edit: E) => void {
  return (edit) => {
    model.set("edit", edit);
    model.save_changes();
  };
}

export function playerSource(model: Model): PlayerSource {
  const read = () => ({ ...(model.get("state") as PlayerState), answer: answerOf(model) });
  const source: PlayerSource = new Source(read, sender(model));
  for (const trait of ["state", "answer"]) model.on(`change:${trait}`, source.receive);
  model.on("comm_live_update", source.lose);
  return source;
}

// -- the matrix -----------------------------------------------------------------------------------

type Without<T> = T extends unknown ? Omit<T, "seq"> : never;

/** The matrix, and the player that is open beneath it. */
export class MatrixSource extends Source<MatrixState, Without<MatrixEdit>> {
  private played: PlayerSource | null = null;

  constructor(private readonly model: Model) {
    super(() => model.get("state") as MatrixState, sender(model));
    this.open();
    model.on("change:state", this.receive);
    model.on("change:player", this.open);
    model.on("change:answer", () => this.played?.receive());
    model.on("comm_live_update", () => {
      this.lose();
      this.played?.lose();
    });
  }

  /** The player; each time that something is opened another one. Null: nothing is open. */
  player = (): PlayerSource | null => this.played;

  private open = (): void => {
    const state = this.model.get("player") as PlayerState | Record<string, never>;
    if (!("film" in state)) this.played = null;
    else if (this.played && state.seq > 0) return this.played.receive();
    else {
      const read = () => ({
        ...(this.model.get("player") as PlayerState),
        answer: answerOf(this.model),
      });
      this.played = new Source(read, (play) => this.send({ play }));
    }
    this.receive();
  };
}
