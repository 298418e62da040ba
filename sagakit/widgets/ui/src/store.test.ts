import { beforeEach, describe, expect, test } from "vitest";
import { add, connect, remove } from "./edits";
import { Store } from "./store";
import type { Draft, Edit, State } from "./protocol";

const ORDER: Draft = {
  saga: "order",
  steps: [
    { step: "create", after: [] },
    {
      step: "pay",
      after: ["create"],
      saga: { saga: "pay", steps: [{ step: "charge", after: [] }] },
    },
    { step: "ship", after: ["pay"] },
  ],
};

function stateOf(draft: Draft | null, more: Partial<State> = {}): State {
  return {
    seq: 0,
    draft,
    text: JSON.stringify(draft),
    python: "",
    problems: [],
    kinds: {},
    positions: {},
    data: { model: { entities: [] }, picture: "", python: "", problems: [] },
    said: null,
    ...more,
  };
}

let sent: Edit[];
let store: Store;

beforeEach(() => {
  sent = [];
  store = new Store(stateOf(ORDER), {} as never, (edit) => sent.push(edit));
});

const flush = () => Promise.resolve();
const names = () => store.get().draft.steps.map(({ step }) => step);
const addStep = (name: string) =>
  store.apply(`Add ${name}`, (draft) => add(draft, { step: name }).draft);

/** The kernel does what the last message asked for. */
async function answer(more: Partial<State> = {}): Promise<void> {
  await flush();
  const edit = sent.at(-1)!;
  const { whole, positions, state } = store.get();
  const draft = edit.text === undefined ? whole : (JSON.parse(edit.text) as Draft);
  const said = { ...state, draft, text: edit.text ?? JSON.stringify(draft), positions };
  store.receive(structuredClone({ ...said, seq: edit.seq, ...more }));
}

describe("a gesture", () => {
  test("is one message with a number of its own", async () => {
    addStep("a");
    await answer();
    addStep("b");
    await flush();
    expect(sent.map(({ seq }) => seq)).toEqual([1, 2]);
    expect(Object.keys(sent[1]!).sort()).toEqual(["draft", "seq"]);
  });

  test("and another in the same tick are one message, and two to undo", async () => {
    addStep("a");
    store.move("Move", { create: [1, 2] });
    await flush();
    expect(sent).toHaveLength(1);
    expect(sent[0]).toMatchObject({ seq: 2, positions: { create: [1, 2] } });
    expect(sent[0]!.draft!.steps).toHaveLength(4);
    store.undo();
    expect(store.get().positions).toEqual({});
    expect(names()).toContain("a");
  });

  test("that is unanswered is told again with the next one", async () => {
    store.move("Move", { create: [1, 2] });
    await flush();
    addStep("a");
    await flush();
    expect(sent[1]).toMatchObject({ seq: 2, positions: { create: [1, 2] } });
    await answer();
    addStep("b");
    await flush();
    expect(sent[2]!.positions).toBeUndefined();
  });

  test("of a draft and one of a text, both unanswered: the later is told alone", async () => {
    const text = JSON.stringify({ saga: "text", steps: [] });
    addStep("a");
    store.editText(text);
    await flush();
    expect(sent).toEqual([{ seq: 2, text }]);
    store.undo();
    await flush();
    expect(sent[1]!.draft!.steps).toHaveLength(4);
    expect(sent[1]!.text).toBeUndefined();
  });

  test("that changes nothing is none", async () => {
    store.apply("Nothing", (draft) => draft);
    await flush();
    expect(sent).toEqual([]);
    expect(store.get().undo).toBeNull();
  });

  test("that is refused says why, and changes nothing", async () => {
    const done = store.apply("Connect", (draft) => connect(draft, "ship", "create"));
    await flush();
    expect(done).toBe(false);
    expect(sent).toEqual([]);
    expect(store.get().notice).toMatchObject({ level: "error" });
    expect(store.get().notice!.text).toContain("a circle");
  });

  test("is said", () => {
    addStep("a");
    expect(store.get().notice!.text).toBe("Add a");
  });
});

describe("what the kernel says", () => {
  test("its echo changes no object that is shown", async () => {
    addStep("a");
    const { whole, draft, positions } = store.get();
    await answer();
    expect(store.get().whole).toBe(whole);
    expect(store.get().draft).toBe(draft);
    expect(store.get().positions).toBe(positions);
    expect(store.get().answered).toBe(true);
  });

  test("an answer to an earlier gesture does not take back a later one", async () => {
    addStep("a");
    await flush();
    addStep("b");
    store.receive(stateOf(ORDER, { seq: 1 }));
    expect(names()).toContain("b");
  });

  test("its own doing replaces the draft, and can be undone", async () => {
    store.receive(stateOf({ saga: "other", steps: [] }));
    expect(store.get().draft.saga).toBe("other");
    expect(store.get().undo).toBe("Change from the notebook");
    store.undo();
    await flush();
    expect(store.get().whole).toEqual(ORDER);
    expect(sent[0]).toEqual({ seq: 1, text: JSON.stringify(ORDER) });
  });

  test("another page's gesture is taken as its own doing, and numbers go on from there", async () => {
    store.receive(stateOf({ saga: "other", steps: [] }, { seq: 7 }));
    expect(store.get().draft.saga).toBe("other");
    addStep("a");
    await flush();
    expect(sent[0]!.seq).toBe(8);
  });

  test("a text that cannot be read keeps the last draft, and no gesture may write over it", async () => {
    store.editText("saga: [");
    await answer({ draft: null, text: "saga: [" }).catch(() => undefined);
    store.receive(stateOf(null, { seq: 1, text: "saga: [" }));
    expect(store.get().whole).toEqual(ORDER);
    expect(store.get().readable).toBe(false);
    addStep("a");
    expect(store.get().notice).toMatchObject({ level: "error" });
    store.undo();
    await flush();
    expect(sent.at(-1)!.text).toBe(JSON.stringify(ORDER));
    expect(store.get().readable).toBe(true);
  });

  test("while it reads a text, gestures wait for it", async () => {
    store.editText(JSON.stringify({ ...ORDER, saga: "renamed" }));
    addStep("a");
    expect(names()).not.toContain("a");
    await answer();
    addStep("a");
    expect(names()).toContain("a");
    expect(store.get().draft.saga).toBe("renamed");
  });

  test("while it reads a text, typing goes on: one gesture, and no letter is lost", async () => {
    const [first, last] = ["r", "renamed"].map((saga) => JSON.stringify({ ...ORDER, saga }));
    store.editText(first!);
    await flush();
    store.editText(last!);
    await flush();
    expect(sent.at(-1)).toEqual({ seq: 2, text: last });
    store.receive(stateOf({ ...ORDER, saga: "r" }, { seq: 1, text: first! }));
    expect(store.get().state.text).toBe(last);
    store.receive(stateOf({ ...ORDER, saga: "renamed" }, { seq: 2, text: last! }));
    expect(store.get().draft.saga).toBe("renamed");
    store.undo();
    expect(store.get().draft.saga).toBe("order");
    expect(store.get().undo).toBeNull();
  });

  test("while it reads a file, a text is refused aloud", () => {
    store.load("order.yaml");
    store.editText("saga: typed");
    expect(store.get().notice).toMatchObject({ level: "error" });
  });

  test("while it reads a file, neither a gesture nor undo comes in between", async () => {
    addStep("a");
    await answer();
    store.load("data/sagas/trip.yaml");
    store.undo();
    addStep("b");
    expect(names()).toEqual(["create", "pay", "ship", "a"]);
    await flush();
    store.receive(stateOf({ saga: "trip", steps: [] }, { seq: 2 }));
    expect(store.get().undo).toBe("Load a saga");
    store.undo();
    expect(names()).toEqual(["create", "pay", "ship", "a"]);
  });

  test("a file that cannot be read is taken back by one undo", async () => {
    addStep("a");
    await answer();
    store.load("bad.yaml");
    await flush();
    store.receive(stateOf(null, { seq: 2, text: "saga: [" }));
    store.undo();
    await flush();
    expect(names()).toEqual(["create", "pay", "ship", "a"]);
    expect(sent.at(-1)!.draft?.steps ?? JSON.parse(sent.at(-1)!.text!).steps).toHaveLength(4);
  });

  test("of a save or load is said", () => {
    store.receive(stateOf(ORDER, { said: { text: "saved", level: "info" } }));
    expect(store.get().notice!.text).toBe("saved");
  });
});

describe("undo and redo", () => {
  test("take back and do again every kind of gesture, in turn", async () => {
    const seen = [store.get().whole];
    const steps = [
      () => addStep("a"),
      () => store.apply("Remove", (draft) => remove(draft, ["pay"])),
      () => store.editText(JSON.stringify({ saga: "text", steps: [] })),
      () => store.editModel("Model", { entities: [{ name: "E", fields: [], relations: [] }] }),
    ];
    for (const step of steps) {
      step();
      await answer();
      seen.push(store.get().whole);
    }
    for (let i = steps.length - 1; i >= 0; i -= 1) {
      store.undo();
      await answer();
      expect(store.get().whole).toEqual(seen[i]);
    }
    expect(store.get().state.data.model).toEqual({ entities: [] });
    expect(store.get().undo).toBeNull();
    for (let i = 1; i <= steps.length; i += 1) {
      store.redo();
      await answer();
      expect(store.get().whole).toEqual(seen[i]);
    }
    expect(store.get().redo).toBeNull();
  });

  test("bring back the very text, with its comments", async () => {
    const text = `${JSON.stringify(ORDER)} # a comment`;
    store.receive(stateOf(ORDER, { text }));
    addStep("a");
    await answer({ text: "without" });
    store.undo();
    await flush();
    expect(sent.at(-1)).toEqual({ seq: 2, text });
  });

  test("a new gesture drops what could be done again", () => {
    addStep("a");
    store.undo();
    addStep("b");
    expect(store.get().redo).toBeNull();
  });

  test("a hundred gestures are kept", () => {
    for (let i = 0; i < 130; i += 1) addStep(`s${i}`);
    for (let i = 0; i < 130; i += 1) store.undo();
    expect(store.get().draft.steps).toHaveLength(3 + 30);
  });

  test("lead back into the saga where the gesture was made", () => {
    store.enter("pay");
    addStep("a");
    store.leave();
    store.undo();
    expect(store.get().at).toEqual(["steps", 1, "saga"]);
    expect(names()).toEqual(["charge"]);
  });
});

describe("a rename", () => {
  test("takes references, positions (also inside) and the selection along", async () => {
    store.move("Move", { pay: [1, 1] });
    store.enter("pay");
    store.move("Move", { charge: [2, 2] });
    store.leave();
    store.apply("Rename", (draft) => ({
      ...draft,
      steps: draft.steps.map((step) => (step.step === "pay" ? { ...step, step: "money" } : step)),
    }));
    expect(store.get().draft.steps[2]!.after).toEqual(["money"]);
    expect(store.get().positions).toEqual({ money: [1, 1], "money/charge": [2, 2] });
    expect(store.get().selected).toEqual(["money"]);
  });
});

describe("inside a step", () => {
  test("edits change the saga there", async () => {
    expect(store.enter("pay")).toBe(true);
    addStep("settle");
    await flush();
    const inner = sent[0]!.draft!.steps[1]!.saga as Draft;
    expect(inner.steps.map(({ step }) => step)).toEqual(["charge", "settle"]);
  });

  test("a step without an inside is not entered", () => {
    expect(store.enter("ship")).toBe(false);
    expect(store.get().at).toEqual([]);
  });

  test("when the step goes, the saga around it is shown", () => {
    store.enter("pay");
    store.receive(stateOf({ saga: "order", steps: [] }));
    expect(store.get().at).toEqual([]);
  });

  test("a 'for each' keeps its one step", () => {
    const each = { items: "lines", step: { step: "line" } };
    store.receive(stateOf({ saga: "s", steps: [{ step: "pick", after: [], for_each: each }] }));
    store.enter("pick");
    expect(names()).toEqual(["line"]);
    expect(addStep("a")).toBe(false);
    expect(store.get().notice!.text).toContain("sub-saga");
    store.apply("Read", (draft) => ({ ...draft, steps: [{ ...draft.steps[0]!, read: true }] }));
    expect(store.get().whole.steps[0]!.for_each).toMatchObject({
      step: { step: "line", read: true },
    });
  });

  test("a problem's path opens the saga and selects the step", () => {
    store.reveal(["steps", 1, "saga", "steps", 0, "action"]);
    expect(store.get()).toMatchObject({ at: ["steps", 1, "saga"], selected: ["charge"] });
    expect(store.get().revealed!.rest).toEqual(["action"]);
  });
});

describe("the clipboard", () => {
  test("copies several steps with the edges among them", () => {
    store.select(["pay", "ship"]);
    const text = store.copy()!;
    store.paste(text);
    expect(names()).toEqual(["create", "pay", "ship", "pay_2", "ship_2"]);
    expect(store.get().draft.steps[4]!.after).toEqual(["pay_2"]);
    expect(store.get().selected).toEqual(["pay_2", "ship_2"]);
  });

  test("cuts, and pastes into another saga, also where the system's clipboard is closed", () => {
    store.select(["ship"]);
    store.cut();
    expect(names()).toEqual(["create", "pay"]);
    store.enter("pay");
    store.paste();
    expect(names()).toEqual(["charge", "ship"]);
  });

  test("other text in it is left alone", () => {
    store.paste("hello");
    expect(store.get().notice!.text).toContain("no steps");
    expect(names()).toHaveLength(3);
  });
});

test("laying out forgets the positions of the saga in view alone", () => {
  store.move("Move", { create: [1, 1] });
  store.enter("pay");
  store.move("Move", { charge: [2, 2] });
  store.layOut();
  expect(store.get().positions).toEqual({ create: [1, 1] });
});
