/** What of the lanes and of the time is drawn, which is a little more than what is in sight. */
import { useCallback, useEffect, useLayoutEffect, useRef, useState, type RefObject } from "react";
import type { Window } from "./bars";
import type { Camera } from "./camera";
import { ticksOf, type Tick } from "./ticks";

export const ROW = 26; // px, as in trace.css
const SPARE = 4; // rows above and below
const ASIDE = 0.5; // of the width, drawn on each side of what is in sight
const APART = 92; // px between two ticks, at least

interface Part {
  first: number;
  count: number;
}

/** Which rows are in sight; it changes a few rows at a time. */
export function useSeen(list: RefObject<HTMLDivElement | null>, count: number) {
  const [part, setPart] = useState<Part>({ first: 0, count: 20 });
  const look = useCallback(() => {
    const { scrollTop, clientHeight } = list.current!;
    const first = Math.max(0, Math.floor(scrollTop / ROW / SPARE) * SPARE - SPARE);
    const size = Math.ceil(clientHeight / ROW / SPARE) * SPARE + 3 * SPARE;
    setPart((old) => (old.first === first && old.count === size ? old : { first, count: size }));
  }, [list]);
  useEffect(() => {
    const observer = new ResizeObserver(look);
    observer.observe(list.current!);
    return () => observer.disconnect();
  }, [list, look]);
  useEffect(look, [count, look]); // there may be fewer rows than were scrolled
  return [part, look] as const;
}

/** The places of the rows to draw; the one that is selected is read aloud, so it is always there. */
export function rowsIn({ first, count }: Part, shown: number[], at: number): number[] {
  const size = Math.max(0, Math.min(count, shown.length - first));
  const seen = Array.from({ length: size }, (_, i) => first + i);
  if (at >= 0 && !seen.includes(at)) seen.push(at);
  return seen;
}

export interface Drawn extends Window {
  ticks(byOrder: boolean): Tick[];
}

/** What part of the time is drawn: that in sight and some beside it. */
export function useDrawn(camera: Camera, box: RefObject<HTMLDivElement | null>): Drawn {
  const [drawn, setDrawn] = useState<Drawn>(() => drawnBy(camera));
  const latest = useRef(drawn);
  latest.current = drawn;
  const shift = useCallback(() => shiftTo(camera, latest.current, box.current!), [camera, box]);
  useLayoutEffect(shift); // what was just drawn, too
  useEffect(() => {
    let frame = 0;
    const paintSoon = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        if (isDrawn(camera, latest.current)) shift();
        else setDrawn(drawnBy(camera));
      });
    };
    const stop = camera.listen(paintSoon);
    const observer = new ResizeObserver(() => {
      const track = box.current!.querySelector(".sk-axis");
      camera.resize(track?.clientWidth ?? 0);
    });
    observer.observe(box.current!);
    return () => {
      cancelAnimationFrame(frame);
      observer.disconnect();
      stop();
    };
  }, [camera, box, shift]);
  return drawn;
}

function drawnBy(camera: Camera): Drawn {
  const { from, to } = camera.sight;
  const aside = (to - from) * ASIDE;
  const scale = camera.scale;
  const window = { from: from - aside, to: to + aside, scale };
  return {
    ...window,
    ticks: (byOrder) => (scale > 0 ? ticksOf(window.from, window.to, APART / scale, byOrder) : []),
  };
}

function isDrawn({ sight, scale }: Camera, drawn: Drawn): boolean {
  const isSame = Math.abs(scale / drawn.scale - 1) < 1e-9;
  return isSame && sight.from >= drawn.from && sight.to <= drawn.to;
}

/** Move what is drawn, without React. */
function shiftTo(camera: Camera, drawn: Drawn, box: HTMLElement): void {
  const by = (drawn.from - camera.sight.from) * drawn.scale;
  for (const part of box.querySelectorAll<HTMLElement>(".sk-moved"))
    part.style.transform = `translateX(${by}px)`;
  // the words of a bar that begins before what is in sight
  for (const words of box.querySelectorAll<HTMLElement>(".sk-long > .sk-piece-words")) {
    const left = Number(words.dataset.left) + by;
    const most = Number(words.dataset.width) - 60;
    const to = left < 0 && most > 0 ? `translateX(${Math.min(-left, most)}px)` : "";
    if (words.style.transform !== to) words.style.transform = to;
  }
}

/** Scroll until a row is in sight. */
export function scrollTo(list: HTMLElement, place: number): void {
  const [from, to] = [place * ROW, (place + 1) * ROW];
  if (from < list.scrollTop) list.scrollTop = from - ROW;
  else if (to > list.scrollTop + list.clientHeight) list.scrollTop = to - list.clientHeight + ROW;
}
