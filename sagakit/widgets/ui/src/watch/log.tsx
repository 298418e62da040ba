/** The events, one a row. Of a long run only the rows that can be seen are there. */
import {
  memo,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  type KeyboardEvent,
} from "react";
import type { Film, Legend } from "../watching";
import { marksOf } from "./frames";
import { paint } from "./look";

const ROW = 26; // px, as in watch.css
const SPARE = 6; // rows above and below

interface Props {
  film: Film;
  legend: Legend;
  at: number;
  hides: boolean; // what follows
  onGo(event: number): void;
}

export const Log = memo(function Log({ film, legend, at, hides, onGo }: Props) {
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(200);
  const marks = useMemo(() => marksOf(film), [film]);
  const struck = useMemo(() => new Map(film.struck.map(([event, what]) => [event, what])), [film]);
  const count = hides ? at + 1 : film.events.at.length;

  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setHeight(entry!.contentRect.height));
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  const latest = useRef(top);
  latest.current = top;
  useLayoutEffect(() => {
    const to = inSight(at, latest.current, height, count);
    if (to === latest.current) return; // it is not asked where it is: that lays out the page
    box.current!.scrollTop = to;
    setTop(to);
  }, [at, height, count]);

  const onKeyDown = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor(height / ROW) - 1);
    const last = count - 1;
    const to = {
      ArrowUp: at - 1,
      ArrowDown: at + 1,
      PageUp: at - page,
      PageDown: at + page,
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    onGo(Math.min(Math.max(to, 0), last));
  };

  const first = Math.max(0, Math.floor(top / ROW) - SPARE);
  const end = Math.min(count, Math.ceil((top + height) / ROW) + SPARE);
  const rows = Array.from({ length: Math.max(0, end - first) }, (_, i) => first + i);
  if (!rows.includes(at)) rows.push(at); // the one that is read aloud is always there
  return (
    <div
      ref={box}
      className="sk-log"
      role="listbox"
      tabIndex={0}
      aria-label="Events"
      aria-activedescendant={`${id}-${at}`}
      onScroll={(event) => setTop(event.currentTarget.scrollTop)}
      onKeyDown={onKeyDown}
    >
      <div style={{ height: count * ROW }} role="presentation">
        {rows.map((event) => (
          <Row
            key={event}
            id={`${id}-${event}`}
            film={film}
            legend={legend}
            event={event}
            state={marks[event]!}
            struck={struck.get(event)}
            is={event === at ? "now" : event < at ? "past" : "later"}
            count={count}
            onGo={onGo}
          />
        ))}
      </div>
    </div>
  );
});

/**
 * Where to scroll to so that a row can be seen. One that is out of sight comes with others in the
 * direction that it lies in, so that not each of the next ones scrolls.
 */
export function inSight(row: number, top: number, height: number, count: number): number {
  const [from, to] = [row * ROW, (row + 1) * ROW];
  if (from >= top && to <= top + height) return top;
  const room = Math.max(0, height - ROW);
  const wanted = from - room * (from < top ? 0.75 : 0.25);
  return Math.round(Math.min(Math.max(wanted, 0), Math.max(0, count * ROW - height)));
}

interface RowProps {
  id: string;
  film: Film;
  legend: Legend;
  event: number;
  state: string;
  struck: "fault" | "crash" | undefined;
  is: "past" | "now" | "later";
  count: number;
  onGo(event: number): void;
}

const Row = memo(function Row({
  id,
  film,
  legend,
  event,
  state,
  struck,
  is,
  count,
  onGo,
}: RowProps) {
  const { at, detail } = film.events;
  const look = legend.states[state];
  const mark = struck && legend.marks[struck];
  return (
    <div
      id={id}
      className={`sk-event sk-is-${is}`}
      role="option"
      aria-selected={is === "now"}
      aria-setsize={count}
      aria-posinset={event + 1}
      style={{ top: event * ROW }}
      onClick={() => onGo(event)}
    >
      <span className="sk-time">{seconds(at[event]!)}</span>
      <span className={`sk-dot${look ? " sk-seen" : ""}`} {...paint(look)} aria-hidden="true">
        {look?.glyph}
      </span>
      <span className="sk-event-step">{stepOf(film, event)}</span>
      <span className="sk-event-what">
        {whatOf(film, event)}
        {struck && (
          <span className="sk-struck sk-seen" {...paint(mark)} title={`a ${struck} strikes here`}>
            {mark?.glyph}
            <span className="sk-hidden">a {struck} strikes here</span>
          </span>
        )}
        {detail[event] && (
          <span className="sk-detail" title={detail[event]}>
            {detail[event]}
          </span>
        )}
      </span>
    </div>
  );
});

export function seconds(value: number): string {
  return `${Number(value.toFixed(3))} s`;
}

/** The step of an event, by its path; "" where it is of the whole execution. */
export function stepOf({ events, paths }: Film, event: number): string {
  const step = events.step[event]!;
  return step < 0 ? "" : paths[step]!;
}

export function whatOf({ events, words }: Film, event: number): string {
  return words[events.what[event]!]!;
}

/** An event in one line, to be read aloud. */
export function eventWords(film: Film, event: number): string {
  const { at, detail } = film.events;
  const parts = [
    `event ${event + 1} of ${at.length}`,
    [whatOf(film, event), stepOf(film, event)].filter(Boolean).join(": "),
    `at ${seconds(at[event]!)}`,
    detail[event]!,
  ];
  return parts.filter(Boolean).join(", ");
}
