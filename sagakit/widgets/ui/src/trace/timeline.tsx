/**
 * The timeline: an axis, lanes and their bars. Of many lanes only those in sight are there, of many
 * bars only so many. To pan, what is drawn is moved as a whole; React draws anew beyond its edges.
 */
import {
  memo,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  type KeyboardEvent,
  type MouseEvent,
} from "react";
import { Icon } from "../icons";
import type { Legend } from "../watching";
import { nearest, type Bar } from "./bars";
import type { Camera } from "./camera";
import { ROW, rowsIn, scrollTo, useDrawn, useSeen } from "./drawn";
import { useHands } from "./hands";
import { Label, Range, Track } from "./lanes";
import { into, moved, type Ground, type Place } from "./moves";
import { Overview } from "./overview";
import { rankOf, type Row } from "./rows";
import type { Table } from "./table";
import { barWords } from "./words";

interface TimelineProps {
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
  const ranks = useMemo(() => rankOf(rows, shown), [rows, shown]);
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
    <div ref={box} className="sk-trace" data-runs={tables.length} {...hands}>
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
        onClick={onClick}
        onDoubleClick={onDoubleClick}
        onMouseOver={onMouseOver}
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
              nth={ranks[place]![0]}
              among={ranks[place]![1]}
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
