/**
 * The lanes and their bars. Of many lanes only those in sight are there, of many bars no more than
 * MOST. To pan, what is drawn is moved as a whole; React draws anew only beyond its edges.
 */
import {
  memo,
  useCallback,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  type KeyboardEvent,
  type MouseEvent,
  type RefObject,
} from "react";
import { Icon } from "../icons";
import { paint } from "../watch/look";
import type { Legend } from "../watching";
import { barsWithin, nearest, type Bar, type Window } from "./bars";
import type { Camera } from "./camera";
import { into, moved, type Ground, type Place } from "./moves";
import type { Row } from "./rows";
import { textOf, type Table } from "./table";
import { ticksOf, type Tick } from "./ticks";
import { useHands } from "./hands";
import { Overview } from "./overview";
import { barWords, lookOf, tookWords } from "./words";

const ROW = 26; // px, as in trace.css
const SPARE = 4; // rows above and below
const ASIDE = 0.5; // of the width, drawn on each side of what is in sight
const MOST = 1200; // bars
const APART = 92; // px between two ticks, at least
const LONG = 120; // px; the words of a longer bar stay in sight

export interface TimelineProps {
  ground: Ground;
  camera: Camera;
  legend: Legend;
  chosen: Place | null;
  reveal: { place: Place } | null; // each time another object: to be brought into sight
  collapsed: ReadonlySet<number>;
  differs: Map<number, string>; // by row: what, in words
  titles: string[];
  onChoose(place: Place, how: "hand" | "key"): void;
  onToggle(row: number): void;
  onFold(isOpen: boolean): void; // all rows
  onOpen(): void;
}

export const Timeline = memo(function Timeline(props: TimelineProps) {
  const { ground, camera, legend, chosen, reveal, collapsed, differs, titles } = props;
  const { tables, rows, shown } = ground;
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const drawn = useDrawn(camera, box);
  const [part, setPart] = useSeen(list, shown.length);
  const { range, hands, hasDragged } = useHands(camera, box, list);
  const places = useMemo(() => new Map(shown.map((row, at) => [row, at])), [shown]);
  const at = chosen ? (places.get(chosen.row) ?? -1) : -1;

  useLayoutEffect(() => {
    const place = reveal?.place;
    const to = place && places.get(place.row);
    if (!place || to === undefined) return;
    const { start, until } = tables[place.run]!;
    camera.bring(start[place.span]!, until[place.span]!);
    scrollTo(list.current!, to);
    // only when something is to be brought into sight; rows may have come and gone since
  }, [reveal]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.altKey || event.metaKey) return;
    const { key, shiftKey, ctrlKey } = event;
    const row = chosen && rows[chosen.row];
    const by = shiftKey && { ArrowLeft: -1, ArrowRight: 1 }[key];
    const name = ctrlKey ? { Home: "Top", End: "Bottom" }[key] : key;
    const isMove = name !== undefined && MOVES.has(name) && !shiftKey;
    if (by) camera.pan((by * camera.width) / 8);
    else if (isMove) {
      const next = moved(name, chosen, ground);
      if (next) props.onChoose(next, "key");
    } else if (ctrlKey || shiftKey) return;
    else if (key === "Enter" && chosen) props.onOpen();
    else if (key === " " && row) row.size > 0 && props.onToggle(chosen.row);
    else if (key.toLowerCase() === "z" && chosen) {
      const { start, until } = tables[chosen.run]!;
      camera.fill(start[chosen.span]!, until[chosen.span]!);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };

  /** The span under the hand, or the nearest one of its lane that is close. */
  const placeOf = (event: MouseEvent): Place | null => {
    const target = event.target as Element;
    if (!list.current!.contains(target)) return null;
    const track = target.closest<HTMLElement>(".sk-track");
    const top = list.current!.getBoundingClientRect().top;
    const row = shown[Math.floor((event.clientY - top + list.current!.scrollTop) / ROW)];
    if (row === undefined) return null;
    if (!track) return into(row, chosen?.run ?? 0, camera.sight.from, ground);
    const run = Number(track.dataset.run);
    const lane = rows[row]!.lanes[run]!;
    if (lane < 0) return null;
    const bar = target.closest<HTMLElement>(".sk-piece");
    if (bar) return { row, run, span: Number(bar.dataset.span) };
    const time = camera.timeAt(event.clientX - track.getBoundingClientRect().left);
    const table = tables[run]!;
    const span = nearest(table, lane, time, ground.fits[run]);
    const away = Math.max(table.start[span]! - time, time - table.until[span]!);
    return away * camera.scale > 12 ? null : { row, run, span };
  };
  const onClick = (event: MouseEvent) => {
    if (hasDragged()) return;
    const twist = (event.target as Element).closest<HTMLElement>(".sk-twist");
    if (twist) return props.onToggle(Number(twist.dataset.row));
    const place = placeOf(event);
    if (place) props.onChoose(place, "hand");
  };
  const onDoubleClick = (event: MouseEvent) => {
    const place = (event.target as Element).closest(".sk-piece") && placeOf(event);
    if (!place) return;
    const { start, until } = tables[place.run]!;
    camera.fill(start[place.span]!, until[place.span]!);
  };
  // the words of a bar are made when they are asked for
  const onMouseOver = ({ target }: MouseEvent) => {
    const bar = (target as Element).closest<HTMLElement>(".sk-piece");
    if (!bar) return;
    const [span, first, count] = [bar.dataset.span, bar.dataset.first, bar.dataset.count].map(
      Number,
    ) as [number, number, number];
    const run = Number(bar.closest<HTMLElement>(".sk-track")!.dataset.run);
    bar.title = barWords(tables[run]!, { span, first, count } as Bar);
  };

  const seen = rowsIn(part, shown, at);
  const last = Math.min(part.first + part.count, shown.length);
  return (
    <div
      ref={box}
      className="sk-trace"
      data-runs={tables.length}
      {...hands}
      onClick={onClick}
      onDoubleClick={onDoubleClick}
      onMouseOver={onMouseOver}
    >
      <div className="sk-trace-head">
        <Tools camera={camera} onFold={props.onFold} />
        {tables.map((table, run) => (
          <div
            key={run}
            className="sk-axis"
            data-run={run}
            title="Drag a range to zoom into it"
            aria-hidden="true"
          >
            <div className="sk-moved">
              {drawn.ticks(table.byOrder).map(({ at: time, text }) => (
                <span
                  key={time}
                  className="sk-tick-text"
                  style={{ left: (time - drawn.from) * drawn.scale }}
                >
                  {text}
                </span>
              ))}
            </div>
            {titles.length > 1 && <b className="sk-axis-title">{titles[run]}</b>}
            {range && <Range range={range} />}
          </div>
        ))}
      </div>
      <div
        ref={list}
        className="sk-lanes"
        role="tree"
        tabIndex={0}
        aria-label={`Lanes, ${shown.length}`}
        aria-describedby={`${id}-keys`}
        aria-activedescendant={at >= 0 ? `${id}-${chosen!.row}` : undefined}
        onScroll={setPart}
        onKeyDown={onKeyDown}
      >
        <div className="sk-lanes-in" role="presentation" style={{ height: shown.length * ROW }}>
          {at >= 0 && <div className="sk-lane-on" role="presentation" style={{ top: at * ROW }} />}
          {seen.map((place) => (
            <Label
              key={shown[place]}
              id={`${id}-${shown[place]}`}
              number={shown[place]!}
              row={rows[shown[place]!]!}
              place={place}
              count={shown.length}
              words={labelWords(tables, rows[shown[place]!]!)}
              isOn={place === at}
              isOpen={!collapsed.has(shown[place]!)}
              differs={differs.get(shown[place]!) ?? ""}
              legend={legend}
            />
          ))}
          {tables.map((table, run) => (
            <Track
              key={run}
              run={run}
              table={table}
              ground={ground}
              from={part.first}
              to={last}
              drawn={drawn}
              legend={legend}
              on={chosen?.run === run ? chosen.span : -1}
              range={range}
            />
          ))}
        </div>
      </div>
      <Overview ground={ground} camera={camera} />
      <span id={`${id}-keys`} className="sk-hidden">
        up and down: lanes; left and right: spans; Enter: details; Space: collapse or expand; plus,
        minus, zero: zoom; Shift with an arrow: pan
      </span>
    </div>
  );
});

function Tools({ camera, onFold }: { camera: Camera; onFold(isOpen: boolean): void }) {
  const tool = (icon: string, label: string, keys: string, does: () => void) => (
    <button
      type="button"
      className="sk-tool"
      aria-label={label}
      title={keys ? `${label} (${keys})` : label}
      onClick={does}
    >
      <Icon name={icon} />
    </button>
  );
  return (
    <div className="sk-corner" role="group" aria-label="What is in sight">
      {tool("fold", "Collapse all", "", () => onFold(false))}
      {tool("unfold", "Expand all", "", () => onFold(true))}
      <span className="sk-room" />
      {tool("minus", "Zoom out", "−", () => camera.zoom(1 / 1.5))}
      {tool("plus", "Zoom in", "+", () => camera.zoom(1.5))}
      {tool("fit", "Show all of it", "0", camera.reset)}
    </div>
  );
}

const MOVES = new Set(
  "ArrowUp ArrowDown ArrowLeft ArrowRight PageUp PageDown Home End Top Bottom".split(" "),
);

function labelWords(tables: Table[], { label, lanes }: Row): string {
  const counts = lanes.map((lane, run) =>
    lane < 0 ? 0 : tables[run]!.first[lane + 1]! - tables[run]!.first[lane]!,
  );
  const said = counts.map((count) => `${count} ${count === 1 ? "span" : "spans"}`);
  return `${label}, ${said.join(" and ")}`;
}

function scrollTo(list: HTMLElement, place: number): void {
  const [from, to] = [place * ROW, (place + 1) * ROW];
  if (from < list.scrollTop) list.scrollTop = from - ROW;
  else if (to > list.scrollTop + list.clientHeight) list.scrollTop = to - list.clientHeight + ROW;
}

// -- what is in sight -------------------------------------------------------------------------------

interface Part {
  first: number;
  count: number;
}

/** Which rows are in sight; it changes a few rows at a time. */
function useSeen(list: RefObject<HTMLDivElement | null>, count: number) {
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
function rowsIn({ first, count }: Part, shown: number[], at: number): number[] {
  const size = Math.max(0, Math.min(count, shown.length - first));
  const seen = Array.from({ length: size }, (_, i) => first + i);
  if (at >= 0 && !seen.includes(at)) seen.push(at);
  return seen;
}

interface Drawn extends Window {
  ticks(byOrder: boolean): Tick[];
}

/** What part of the time is drawn: that in sight and some beside it. */
function useDrawn(camera: Camera, box: RefObject<HTMLDivElement | null>): Drawn {
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

function Range({ range: [one, other] }: { range: [number, number] }) {
  return (
    <div
      className="sk-range"
      style={{ left: Math.min(one, other), width: Math.abs(other - one) }}
    />
  );
}

// -- lanes ------------------------------------------------------------------------------------------

interface LabelProps {
  id: string;
  number: number;
  row: Row;
  place: number;
  count: number;
  words: string;
  isOn: boolean;
  isOpen: boolean;
  differs: string;
  legend: Legend;
}

const Label = memo(function Label(props: LabelProps) {
  const { id, number, row, place, count, words, isOn, isOpen, differs, legend } = props;
  const look = legend.contrasts.differs;
  return (
    <div
      id={id}
      className={`sk-lane${isOn ? " sk-is-on" : ""}`}
      role="treeitem"
      aria-level={row.depth + 1}
      aria-setsize={count}
      aria-posinset={place + 1}
      aria-selected={isOn}
      aria-expanded={row.size > 0 ? isOpen : undefined}
      aria-label={[words, differs && `differs: ${differs}`].filter(Boolean).join("; ")}
      style={{ top: place * ROW, paddingInlineStart: 4 + Math.min(row.depth, 9) * 13 }}
      data-row={number}
    >
      {row.size > 0 ? (
        <span className="sk-twist" data-row={number}>
          {isOpen ? "▾" : "▸"}
        </span>
      ) : (
        <span className="sk-no-twist" />
      )}
      <span className="sk-lane-name" title={row.label}>
        {row.label}
      </span>
      {row.size > 0 && !isOpen && <span className="sk-lane-more">{row.size}</span>}
      {differs && (
        <span className="sk-differs sk-seen" {...paint(look)} title={differs}>
          {look.glyph}
        </span>
      )}
    </div>
  );
});

interface TrackProps {
  run: number;
  table: Table;
  ground: Ground;
  from: number; // rows
  to: number;
  drawn: Drawn;
  legend: Legend;
  on: number;
  range: [number, number] | null;
}

const Track = memo(function Track(props: TrackProps) {
  const { run, table, ground, from, to, drawn, legend, on, range } = props;
  const { rows, shown, fits } = ground;
  const seen = useMemo(() => shown.slice(from, to), [shown, from, to]);
  const bars = useMemo(() => {
    if (drawn.scale <= 0) return [];
    const lanes = seen.map((row) => ({ table, lane: rows[row]!.lanes[run]!, fits: fits[run]! }));
    return barsWithin(lanes, drawn, MOST);
  }, [table, seen, rows, fits, run, drawn]);
  return (
    <div className="sk-track" data-run={run} aria-hidden="true">
      <div className="sk-moved">
        {drawn.ticks(table.byOrder).map(({ at }) => (
          <div
            key={at}
            className="sk-tick-line"
            style={{ left: (at - drawn.from) * drawn.scale, top: from * ROW, height: seen.length * ROW }} // prettier-ignore
          />
        ))}
        {bars.map((ofRow, i) => (
          <Bars
            key={seen[i]}
            table={table}
            bars={ofRow}
            top={(from + i) * ROW}
            legend={legend}
            on={ofRow.some((bar) => holds(bar, on)) ? on : -1}
          />
        ))}
      </div>
      {seen.map(
        (row, i) =>
          rows[row]!.lanes[run]! < 0 && (
            <span key={row} className="sk-not-here" style={{ top: (from + i) * ROW }}>
              not here
            </span>
          ),
      )}
      {range && <Range range={range} />}
    </div>
  );
});

function holds({ first, count }: Bar, span: number): boolean {
  return span >= first && span < first + count;
}

interface BarsProps {
  table: Table;
  bars: Bar[];
  top: number;
  legend: Legend;
  on: number;
}

const Bars = memo(function Bars({ table, bars, top, legend, on }: BarsProps) {
  return bars.map((bar) => {
    const { span, first, count, left, width } = bar;
    const isOn = holds(bar, on);
    const outcome = textOf(table, "outcome", span);
    const look = lookOf(legend, outcome);
    const { style, ...hatch } = paint(look);
    const names = [
      "sk-piece sk-seen",
      bar.fits ? "" : "sk-faint",
      bar.isCritical ? "sk-critical" : "",
      bar.isOpen ? "sk-open" : "",
      count > 1 ? "sk-many" : "",
      width > LONG ? "sk-long" : "",
      isOn ? "sk-is-on" : "",
    ];
    return (
      <div
        key={first}
        className={names.filter(Boolean).join(" ")}
        {...hatch}
        style={{ ...style, top, left, width }}
        data-span={isOn ? on : span}
        data-first={first}
        data-count={count}
        data-outcome={outcome}
      >
        {width >= 14 && bar.fits && (
          <span className="sk-piece-words" data-left={left} data-width={width}>
            {look?.glyph}
            {width >= 74 && ` ${count > 1 ? `${count} spans` : barText(table, span, width)}`}
          </span>
        )}
      </div>
    );
  });
});

function barText(table: Table, span: number, width: number): string {
  const took = table.byOrder ? "" : tookWords(table, span);
  const name = textOf(table, "name", span);
  const isOwn = name !== table.run.texts[table.label[table.lane[span]!]!];
  const isRoom = width > 60 + 7 * (name.length + took.length);
  return isOwn && isRoom ? [name, took].filter(Boolean).join(" · ") : took;
}
