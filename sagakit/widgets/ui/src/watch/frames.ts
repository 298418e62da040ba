/**
 * What a film shows at each event, from the changes that the kernel tells. Going forward applies
 * what changes; going back begins at the nearest frame that was kept. No React.
 */
import type { Film } from "../watching";

type Amount = number | string | null;

/** What all changes up to an event leave. */
export interface Frame {
  event: number;
  states: string[]; // by node
  status: string;
  values: Amount[]; // by row of the ledgers; null: there is no such row (yet, or any more)
  before: Map<number, Amount>; // of the rows that this event changed: what they held
}

interface Kept {
  states: number[];
  values: Amount[];
  change: number; // the first of `film.changes` that is not in it
  entry: number; // and of the ledgers'
}

const STRIDE = 64; // events between two frames that are kept
const UNTIL_CHANGED = "pending";

export class Reel {
  readonly count: number;
  private readonly kept: Kept[] = [];
  private now: Kept;
  private at = -1; // the event that `now` stands at

  constructor(private readonly film: Film) {
    this.count = film.events.at.length;
    const states = Array.from(film.nodes, () => film.states.indexOf(UNTIL_CHANGED));
    this.now = { states, values: Array.from(film.ledgers.rows, () => null), change: 0, entry: 0 };
    this.keep();
  }

  /** The frame of an event, from 0. */
  frame(event: number): Frame {
    if (event <= this.at) this.rewind(event);
    let before = new Map<number, Amount>();
    while (this.at < event) before = this.step();
    const { states, values } = this.now;
    return {
      event,
      states: states.map((state) => this.film.states[state]!),
      status: statusAt(this.film, event),
      values: [...values],
      before,
    };
  }

  private keep(): void {
    const { states, values, ...rest } = this.now;
    this.kept.push({ states: [...states], values: [...values], ...rest });
  }

  /** Go back to the nearest frame that was kept before this event. */
  private rewind(event: number): void {
    const number = Math.floor(event / STRIDE); // it stands at the last event before number * STRIDE
    const { states, values, ...rest } = this.kept[number]!;
    this.now = { states: [...states], values: [...values], ...rest };
    this.at = number * STRIDE - 1;
  }

  /** Apply the next event's changes; what the rows of the ledgers that it changes held. */
  private step(): Map<number, Amount> {
    const before = new Map<number, Amount>();
    const { changes, ledgers } = this.film;
    const { states, values } = this.now;
    this.at += 1;
    for (; changes[this.now.change] === this.at; this.now.change += 3) {
      states[changes[this.now.change + 1]!] = changes[this.now.change + 2]!;
    }
    for (; ledgers.changes[this.now.entry] === this.at; this.now.entry += 3) {
      const row = ledgers.changes[this.now.entry + 1] as number;
      if (!before.has(row)) before.set(row, values[row]!);
      values[row] = ledgers.changes[this.now.entry + 2]!;
    }
    if ((this.at + 1) % STRIDE === 0 && (this.at + 1) / STRIDE === this.kept.length) this.keep();
    return before;
  }
}

/** The status of the whole at an event. */
export function statusAt({ statuses }: Film, event: number): string {
  let found = "";
  for (let i = 0; i < statuses.length && (statuses[i] as number) <= event; i += 2)
    found = statuses[i + 1] as string;
  return found;
}

/** For each event, the state to which it brings its own step; "" where it changes none. */
export function marksOf({ events, changes, states }: Film): string[] {
  const found = Array.from(events.at, () => "");
  for (let i = 0; i < changes.length; i += 3) {
    const [event, node, state] = [changes[i]!, changes[i + 1]!, changes[i + 2]!];
    if (events.step[event] === node) found[event] = states[state]!;
  }
  return found;
}
