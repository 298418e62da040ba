/** A lane's label, and the bars of all lanes in sight. */
import { memo, useMemo } from "react";
import { paint } from "../watch/look";
import type { Legend } from "../watching";
import { barsWithin, type Bar } from "./bars";
import { ROW, type Drawn } from "./drawn";
import type { Ground } from "./moves";
import type { Row } from "./rows";
import { textOf, type Table } from "./table";
import { lookOf, tookWords } from "./words";

const MOST = 1200; // bars
const LONG = 120; // px; the words of a longer bar stay in sight

interface LabelProps {
  id: string;
  number: number;
  row: Row;
  place: number;
  nth: number; // of `among` rows within the same one
  among: number;
  words: string;
  isOn: boolean;
  isOpen: boolean;
  differs: string;
  legend: Legend;
}

export const Label = memo(function Label(props: LabelProps) {
  const { id, number, row, place, nth, among, words, isOn, isOpen, differs, legend } = props;
  const look = legend.contrasts.differs;
  return (
    <div
      id={id}
      className={`sk-lane${isOn ? " sk-is-on" : ""}`}
      role="treeitem"
      aria-level={row.depth + 1}
      aria-setsize={among}
      aria-posinset={nth}
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

export const Track = memo(function Track(props: TrackProps) {
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

/** What is dragged, to zoom into it. */
export function Range({ range: [one, other] }: { range: [number, number] }) {
  return (
    <div
      className="sk-range"
      style={{ left: Math.min(one, other), width: Math.abs(other - one) }}
    />
  );
}
