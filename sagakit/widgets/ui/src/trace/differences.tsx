/** What differs between two executions; each leads to its lane. */
import { memo } from "react";
import { paint, Tag } from "../watch/look";
import type { ExplorerState, Legend } from "../watching";

type Difference = ExplorerState["differences"][number];

interface Props {
  differences: Difference[];
  words: string;
  titles: string[];
  legend: Legend;
  open: number; // the one that was gone to last; -1: none
  onGo(number: number): void;
}

export const Differences = memo(function Differences(props: Props) {
  const { differences, words, titles, legend, open, onGo } = props;
  return (
    <section className="sk-contrasts" aria-label="What differs">
      <h3>What differs</h3>
      <p className="sk-hint">{words}</p>
      <ul className="sk-differences">
        {differences.map((one, i) => (
          <li key={i}>
            <button
              type="button"
              className="sk-entry"
              aria-current={i === open || undefined}
              disabled={one.lanes.every((lane) => lane < 0)}
              onClick={() => onGo(i)}
            >
              <span className="sk-differs sk-seen" {...paint(legend.contrasts.differs)}>
                <span aria-hidden="true">{legend.contrasts.differs.glyph}</span>
              </span>
              <span>
                <b>
                  {one.side === "compensation" && (
                    <>
                      <span aria-hidden="true">{legend.parts.compensation.glyph} </span>
                      <span className="sk-hidden">compensation of </span>
                    </>
                  )}
                  {one.step || "the whole"}
                </b>{" "}
                {one.words}
                <span className="sk-both">
                  <Side title={titles[0]!} text={one.first} legend={legend} />
                  <Side title={titles[1]!} text={one.second} legend={legend} />
                </span>
              </span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
});

function Side({ title, text, legend }: { title: string; text: string; legend: Legend }) {
  const look = legend.states[text] ?? legend.statuses[text];
  return (
    <span>
      <span className="sk-hint">{title}</span> {look ? <Tag look={look} text={text} /> : text}
    </span>
  );
}

/** By row: what differs there, in words. */
export function differsBy(differences: Difference[], rowOf: Int32Array[]): Map<number, string> {
  const found = new Map<number, string>();
  for (const { lanes, words } of differences) {
    const rows = lanes.map((lane, run) => (lane < 0 ? -1 : rowOf[run]![lane]!));
    for (const row of new Set(rows.filter((one) => one >= 0)))
      found.set(row, [found.get(row), words].filter(Boolean).join(", "));
  }
  return found;
}
