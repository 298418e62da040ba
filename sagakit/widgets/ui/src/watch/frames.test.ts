import { describe, expect, it } from "vitest";
import type { Film } from "../watching";
import { marksOf, Reel, statusAt } from "./frames";

const STATES = ["pending", "running", "succeeded", "compensated"];

/** A long run at random, the same each time. */
function film(events: number, nodes = 5, rows = 4): Film {
  let seed = 7;
  const chance = (most: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % most;
  const changes: number[] = [];
  const entries: (number | string | null)[] = [];
  for (let event = 0; event < events; event += 1) {
    for (let i = chance(3); i > 0; i -= 1)
      changes.push(event, chance(nodes), chance(STATES.length));
    for (let i = chance(4); i > 0; i -= 1)
      entries.push(event, chance(rows), chance(5) === 0 ? null : chance(100));
  }
  const zeros = Array.from({ length: events }, () => 0);
  return {
    title: "random",
    note: "",
    nodes: Array.from({ length: nodes }, (_, i) => ({
      path: `s${i}`,
      name: `s${i}`,
      inside: -1,
      kind: "plain",
      service: "",
      compensation: "",
      notes: [],
      holds: "",
      more: 0,
      retried: false,
    })),
    edges: [],
    events: { at: zeros, what: zeros, step: zeros, detail: zeros.map(String) },
    words: ["step started"],
    paths: ["s0"],
    states: STATES,
    changes,
    statuses: [0, "running", events - 1, "completed"],
    ledgers: {
      rows: Array.from({ length: rows }, (_, i) => ["bank", `row ${i}`]),
      changes: entries,
    },
    struck: [],
    ended: "completed",
  };
}

/** What a frame shows, folded from the very beginning. */
function folded({ nodes, states, changes, ledgers }: Film, event: number) {
  const now = nodes.map(() => "pending");
  for (let i = 0; i < changes.length && changes[i]! <= event; i += 3)
    now[changes[i + 1]!] = states[changes[i + 2]!]!;
  const values: unknown[] = ledgers.rows.map(() => null);
  const before = new Map<number, unknown>();
  for (let i = 0; i < ledgers.changes.length && (ledgers.changes[i] as number) <= event; i += 3) {
    const row = ledgers.changes[i + 1] as number;
    if (ledgers.changes[i] === event && !before.has(row)) before.set(row, values[row]);
    values[row] = ledgers.changes[i + 2];
  }
  return { states: now, values, before };
}

describe("a reel", () => {
  it("shows at every event what a fold from the start gives, forward and back", () => {
    const one = film(300);
    const reel = new Reel(one);
    const forward = Array.from({ length: 300 }, (_, i) => i);
    const jumps = [299, 0, 64, 63, 128, 127, 200, 5, 5, 64, 299, 298];
    for (const event of [...forward, ...forward.toReversed(), ...jumps]) {
      const { states, values, before } = reel.frame(event);
      expect({ states, values, before }, `event ${event}`).toEqual(folded(one, event));
    }
  });

  it("shows any event at once, without those before it having been asked for", () => {
    const one = film(200);
    expect(new Reel(one).frame(150).states).toEqual(folded(one, 150).states);
  });

  it("gives away frames that later ones do not change", () => {
    const reel = new Reel(film(100));
    const early = reel.frame(3);
    const copy = [...early.states];
    reel.frame(90);
    expect(early.states).toEqual(copy);
  });
});

it("tells the status from the event on at which it begins", () => {
  const one = film(10);
  expect([0, 5, 8, 9].map((event) => statusAt(one, event))).toEqual([
    "running",
    "running",
    "running",
    "completed",
  ]);
});

it("marks an event by the state to which it brings its own step, not another's", () => {
  const one = { ...film(3), changes: [0, 1, 1, 1, 0, 2, 1, 1, 3] };
  expect(marksOf(one)).toEqual(["", "succeeded", ""]);
});
