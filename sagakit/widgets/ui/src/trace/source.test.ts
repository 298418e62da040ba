import { expect, it } from "vitest";
import type { ExplorerEdit, ExplorerState } from "../watching";
import { madeRun, Packer } from "./made";
import { ExplorerSource } from "./source";

/** A model whose kernel answers when it is told to. */
function opened(details: Record<string, unknown> = {}) {
  const packer = new Packer();
  const spans = [0, 1, 2].map((start) => ({ lane: 0, start, end: start + 1 }));
  const run = madeRun(packer, spans, [{ label: "a" }]);
  const state: ExplorerState = { seq: 0, runs: [run], differences: [], words: "", said: null };
  const traits: Record<string, unknown> = { state, details, numbers: packer.whole() };
  const listeners = new Map<string, () => void>();
  const sent: ExplorerEdit[] = [];
  const source = new ExplorerSource({
    get: (trait) => traits[trait],
    set: (_, edit) => void sent.push(edit as ExplorerEdit),
    save_changes: () => {},
    on: (event, listener) => void listeners.set(event, listener),
    off: () => {},
  });
  const answer = (trait: string, value: object) => {
    traits[trait] = value;
    listeners.get(`change:${trait}`)!();
  };
  const lose = () => listeners.get("comm_live_update")!();
  return { source, sent, answer, lose, state };
}

const DETAILS = { name: "a", kind: "internal", status: "ok", message: "", attributes: {}, events: [], links: [] }; // prettier-ignore

it("selects at once, and asks the kernel for one span at a time: of many the last", () => {
  const { source, sent, answer } = opened();
  for (const span of [0, 1, 2]) source.choose({ run: 0, span });
  expect(source.get().state.chosen).toEqual({ run: 0, span: 2 });
  expect(sent).toEqual([{ seq: 1, run: 0, span: 0 }]);
  answer("details", { ...DETAILS, seq: 1, run: 0, span: 0 });
  expect(sent[1]).toEqual({ seq: 2, run: 0, span: 2 });
  answer("details", { ...DETAILS, seq: 2, run: 0, span: 2 });
  expect(source.get().state.details?.span).toBe(2);
  source.choose({ run: 0, span: 2 }); // it is
  expect(sent).toHaveLength(2);
});

it("says what went wrong until something else was answered", () => {
  const { source, answer, state } = opened();
  source.choose({ run: 0, span: 1 });
  answer("state", { ...state, seq: 1, said: { text: "there is no span", level: "error" } });
  expect(source.get().state.said?.text).toBe("there is no span");
  expect(source.get().waits).toBe(false);
  source.choose({ run: 0, span: 0 });
  answer("details", { ...DETAILS, seq: 2, run: 0, span: 0 });
  expect(source.get().state.said).toBeNull();
});

it("begins with what was selected, and goes on without a kernel", () => {
  const { source, sent, lose } = opened({ ...DETAILS, seq: 4, run: 0, span: 1 });
  expect(source.get().state.chosen).toEqual({ run: 0, span: 1 });
  lose();
  source.choose({ run: 0, span: 2 });
  expect(source.get()).toMatchObject({ connected: false, state: { chosen: { run: 0, span: 2 } } });
  expect(sent).toEqual([]);
});
