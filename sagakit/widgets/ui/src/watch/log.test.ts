import { expect, it } from "vitest";
import type { Film } from "../watching";
import { eventWords } from "./log";

it("tells an event in one line, and each thing once", () => {
  const film = {
    events: { at: [0, 0.5], what: [0, 1], step: [-1, 0], detail: ["", "attempt 2"] },
    words: ["execution started", "step started"],
    paths: ["pay"],
  } as unknown as Film;
  expect(eventWords(film, 0)).toBe("event 1 of 2, execution started, at 0 s");
  expect(eventWords(film, 1)).toBe("event 2 of 2, step started: pay, at 0.5 s, attempt 2");
});
