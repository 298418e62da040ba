import { describe, expect, it } from "vitest";
import type { Said } from "../watching";
import { Source } from "./source";

interface State {
  seq: number;
  said: Said;
}
interface Edit {
  what: string;
}

function made() {
  let state: State = { seq: 0, said: null };
  const posted: (Edit & { seq: number })[] = [];
  const source = new Source<State, Edit>(
    () => state,
    (edit) => posted.push(edit),
  );
  const answer = (seq: number) => {
    state = { seq, said: null };
    source.receive();
  };
  return { source, posted, answer };
}

describe("a source", () => {
  it("sends an edit when the one before is answered", () => {
    const { source, posted, answer } = made();
    for (const what of ["a", "b", "c"]) source.send({ what });
    expect(posted).toEqual([{ what: "a", seq: 1 }]);
    answer(0); // Python did something of its own
    expect(posted).toHaveLength(1);
    answer(1);
    expect(posted.at(-1)).toEqual({ what: "b", seq: 2 });
    expect(source.get()).toMatchObject({ waits: true, asked: ["what"] });
    answer(2);
    answer(3);
    expect(posted.map(({ what }) => what)).toEqual(["a", "b", "c"]);
    expect(source.get().waits).toBe(false);
  });

  it("sends nothing of what waited for a kernel that is gone", () => {
    const { source, posted, answer } = made();
    for (const what of ["a", "b"]) source.send({ what });
    source.lose();
    answer(0);
    expect(posted).toHaveLength(1);
    expect(source.get()).toMatchObject({ waits: false, connected: true });
  });

  it("goes on from the number that the kernel has, as after a reload", () => {
    const { source, posted, answer } = made();
    answer(7);
    source.send({ what: "a" });
    expect(posted[0]!.seq).toBe(8);
  });
});
