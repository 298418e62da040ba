/** Where in its film a player stands, and how it goes on by itself. */
import { useCallback, useEffect, useRef, useState } from "react";
import { movesLess } from "../theme";
import type { Film } from "../watching";

export const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];
const PAUSE = { least: 0.35, most: 1.4 }; // seconds between two events at speed 1, however far apart

export interface Playhead {
  at: number;
  plays: boolean;
  speed: number;
  go(at: number): void;
  toggle(): void;
  setSpeed(speed: number): void;
}

/**
 * Parameters:
 *   holds: it stays at the beginning, since what follows must not be seen yet.
 */
export function usePlayhead(film: Film, holds: boolean): Playhead {
  const last = film.events.at.length - 1;
  const [at, setAt] = useState(0);
  const [plays, setPlays] = useState(false);
  const [speed, setSpeed] = useState(1);
  const first = useRef(film);

  // another run is shown as it goes; at once in the end for who wants no motion
  const begin = useCallback(() => {
    setAt(movesLess() ? last : 0);
    setPlays(!movesLess());
  }, [last]);
  const held = useRef(holds);
  useEffect(() => {
    const isNew = first.current !== film || (held.current && !holds);
    first.current = film;
    held.current = holds;
    if (holds) {
      setAt(0);
      setPlays(false);
    } else if (isNew) begin();
  }, [film, holds, begin]);

  const here = holds ? 0 : Math.min(at, last);
  useEffect(() => {
    if (!plays || holds) return;
    if (here >= last) return setPlays(false);
    const apart = film.events.at[here + 1]! - film.events.at[here]!;
    const pause = Math.min(Math.max(apart, PAUSE.least), PAUSE.most) / speed;
    const timer = setTimeout(() => setAt(here + 1), pause * 1000);
    return () => clearTimeout(timer);
  }, [plays, holds, here, last, film, speed]);

  const go = useCallback(
    (to: number) => {
      setPlays(false);
      setAt(Math.min(Math.max(to, 0), last));
    },
    [last],
  );
  const toggle = useCallback(() => {
    if (!plays && here >= last) setAt(0);
    setPlays(!plays);
  }, [plays, here, last]);
  return { at: here, plays, speed, go, toggle, setSpeed };
}
