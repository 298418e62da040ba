import { beforeEach, expect, it, vi } from "vitest";
import type { Model } from "../model";
import type { MonitorEdit, MonitorState } from "../watching";
import { MonitorSource, type Decision } from "./source";

const STATE: MonitorState = {
  seq: 0,
  at: 1000,
  source: "sagas.db",
  counts: {},
  throughput: 0,
  window: 10,
  series: {},
  running: [],
  running_more: 0,
  stuck: [],
  stuck_more: 0,
  said: null,
  about: "",
  deciding: [],
  again: "",
  over: "",
};
const about = (id: string): Decision => ({ id, step: "a", how: "skip", by: "ann", why: "so" });

/** A kernel that the page talks to. */
class Kernel implements Model {
  traits: Record<string, unknown> = { state: STATE, who: "ann", ways: [] };
  edits: MonitorEdit[] = [];
  private readonly listeners: Record<string, () => void> = {};
  get = (trait: string) => this.traits[trait];
  set = (trait: string, value: unknown) => (this.traits[trait] = value);
  save_changes = () => {
    const { edit } = this.traits;
    if (edit && edit !== this.edits.at(-1)) this.edits.push(edit as MonitorEdit);
  };
  on = (event: string, callback: () => void) => (this.listeners[event] = callback);
  off = () => {};
  tell(more: Partial<MonitorState>): void {
    this.traits.state = { ...(this.traits.state as MonitorState), ...more };
    this.listeners["change:state"]!();
  }
  /** It has begun with the last edit. */
  take(): void {
    const { seq, id, step = "", how } = this.edits.at(-1)!;
    const { deciding } = this.traits.state as MonitorState;
    this.tell({ deciding: [...deciding, { seq, id, step, how }] });
  }
  die = () => this.listeners.comm_live_update!();
}

let kernel: Kernel;
let source: MonitorSource;
beforeEach(() => {
  kernel = new Kernel();
  source = new MonitorSource(kernel);
});
const waiting = () => source.pending().map(({ id }) => id);

it("sends a decision at once, and the next one when the kernel has taken it", () => {
  source.decide(about("one"));
  source.decide(about("two"));
  source.decide(about("three"));
  expect(kernel.edits.map(({ seq, id }) => [seq, id])).toEqual([[1, "one"]]);
  expect(waiting()).toEqual(["one", "two", "three"]);
  kernel.take();
  expect(kernel.edits.map(({ seq, id }) => [seq, id])).toEqual([
    [1, "one"],
    [2, "two"],
  ]);
  kernel.take();
  kernel.take();
  expect(kernel.edits.map(({ id }) => id)).toEqual(["one", "two", "three"]);
  expect(waiting()).toEqual(["one", "two", "three"]);
});

it("waits for an answer that comes after a later one", () => {
  source.decide(about("one"));
  kernel.take();
  source.decide(about("two"));
  kernel.take();
  const [first] = (kernel.get("state") as MonitorState).deciding;
  kernel.tell({ seq: 2, about: "two", deciding: [first!] });
  expect(waiting()).toEqual(["one"]);
  kernel.tell({ about: "one", deciding: [] });
  expect(waiting()).toEqual([]);
});

it("takes an answer for it that the decision has been taken", () => {
  source.decide(about("one"));
  source.decide(about("two"));
  kernel.tell({ seq: 1, about: "one" });
  expect(kernel.edits.map(({ id }) => id)).toEqual(["one", "two"]);
  expect(waiting()).toEqual(["two"]);
});

it("goes on from what was taken when the page is loaded anew", () => {
  source.decide(about("one"));
  kernel.take();
  source = new MonitorSource(kernel);
  expect(waiting()).toEqual(["one"]);
  source.decide(about("two"));
  source.decide(about("three"));
  expect(kernel.edits.map(({ seq, id }) => [seq, id])).toEqual([
    [1, "one"],
    [2, "two"],
  ]);
  kernel.tell({ counts: { running: 1 } }); // the kernel has not yet read the second
  expect(kernel.edits).toHaveLength(2);
});

it("tells who draws, and keeps the array while it holds the same", () => {
  const listener = vi.fn();
  source.state.subscribe(listener);
  source.decide(about("one"));
  expect(listener).toHaveBeenCalledTimes(1);
  source.decide(about("two"));
  expect(listener).toHaveBeenCalledTimes(2);
  const before = source.pending();
  kernel.take();
  expect(source.pending()).toBe(before);
});

it("waits for nothing more when the kernel has gone, and knows that it did", () => {
  source.decide(about("one"));
  source.decide(about("two"));
  kernel.die();
  kernel.die(); // it may be told twice
  expect(source.lost).toBe(2);
  expect(waiting()).toEqual([]);
  expect(source.state.get().connected).toBe(false);
});

it("tells whether it is shown anywhere", () => {
  const [one, other] = [source.show(), source.show()];
  one();
  expect(kernel.get("shown")).toBe(true);
  other();
  expect(kernel.get("shown")).toBe(false);
  source.show();
  expect(kernel.get("shown")).toBe(true);
});

it("goes by the kernel's clock where it is another one", () => {
  vi.useFakeTimers({ now: 1_000_000 });
  kernel.tell({ at: 1002 }); // that is the way of the message
  expect(source.now()).toBe(1000);
  kernel.tell({ at: 4600 });
  expect(source.now()).toBe(4600);
  vi.advanceTimersByTime(3000);
  expect(source.now()).toBe(4603);
  vi.useRealTimers();
});

const answers = () => [...source.answers()].map(([id, { text }]) => [id, text]);
const answer = (seq: number, id: string, text: string, level: "info" | "error") =>
  kernel.tell({ seq, about: id, said: { text, level }, deciding: [] });

it("keeps an error until that execution is decided anew, whatever is decided meanwhile", () => {
  source.decide(about("one"));
  kernel.take();
  source.decide(about("two"));
  answer(1, "one", "refused", "error");
  answer(2, "two", "done", "info");
  expect(answers()).toEqual([
    ["one", "refused"],
    ["two", "done"],
  ]);
  const before = source.answers();
  kernel.tell({ at: 1001 });
  expect(source.answers()).toBe(before); // or what was dismissed would come again
  source.decide(about("three"));
  expect(source.answers().get("two")).toBe(before.get("two"));
  source.decide(about("one"));
  expect(answers()).toEqual([["two", "done"]]);
});

it("tells the same again of another decision, and of what went well the last only", () => {
  source.decide(about("one"));
  answer(1, "one", "still stuck", "info");
  const [first] = source.answers().values();
  source.decide(about("one"));
  kernel.tell({ at: 1001 }); // not yet answered
  expect(answers()).toEqual([]);
  answer(2, "one", "still stuck", "info");
  expect(answers()).toEqual([["one", "still stuck"]]);
  expect([...source.answers().values()][0]).not.toBe(first);
  source.decide(about("two"));
  answer(3, "two", "done", "info");
  expect(answers()).toEqual([["two", "done"]]);
});
