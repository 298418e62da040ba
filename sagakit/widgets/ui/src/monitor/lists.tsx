/** What is stuck, with what can be decided about it, and what is in flight. */
import { useLayoutEffect, useRef, useState, type FocusEvent, type PointerEvent } from "react";
import { Icon } from "../icons";
import { Tag } from "../watch/look";
import type { Legend, MonitoredExecution, Said, Way } from "../watching";
import { labelOf, type Asked } from "./decide";
import { grouped, lasted } from "./numbers";
import { arranged, withRow, type Row } from "./rows";
import type { Answers, Pending } from "./source";

/** The rows of a list that changes by itself, and what to listen by on the element around it. */
function useRows(listed: MonitoredExecution[], alsoHeld: string, told: string[]) {
  const [pointed, setPointed] = useState("");
  const [focused, setFocused] = useState("");
  const shown = useRef<Row[]>([]);
  const before = shown.current;
  const held = [pointed, focused, alsoHeld].filter(Boolean);
  const rows = told.reduce((made, id) => withRow(made, before, id), arranged(before, listed, held));
  useLayoutEffect(() => {
    shown.current = rows;
  });
  const listeners = {
    onPointerOver: (event: PointerEvent) => setPointed(idAt(event.target)),
    onPointerLeave: () => setPointed(""),
    onFocus: (event: FocusEvent) => setFocused(idAt(event.target)),
    onBlur: ({ target }: FocusEvent) => {
      // where the whole window has lost it, the focus comes back to the same button
      if (document.activeElement !== target) setFocused("");
    },
  };
  return { rows, listeners };
}

function idAt(target: EventTarget): string {
  return (target as Element).closest<HTMLElement>("[data-id]")?.dataset.id ?? "";
}

// -- stuck ------------------------------------------------------------------------------------

interface StuckProps {
  stuck: MonitoredExecution[];
  more: number;
  now: number;
  ways: Way[];
  legend: Legend;
  pending: Pending[];
  asked: Asked | null; // what the form is open for
  answers: Answers;
  isOver: boolean; // nothing can be decided any more
  onAsk(asked: Asked): void;
  onDismiss(id: string): void;
}

export function Stuck(props: StuckProps) {
  const { stuck, more, answers, asked, legend } = props;
  const { rows, listeners } = useRows(stuck, asked?.one.id ?? "", [...answers.keys()]);
  const list = useRef<HTMLDivElement>(null);
  const dismiss = (id: string) => {
    list.current?.focus(); // the button may go with its row
    props.onDismiss(id);
  };
  return (
    <section className="sk-stuck" aria-label="Stuck">
      <h3>
        Stuck <Count look={legend.statuses.stuck?.glyph} count={stuck.length + more} />
      </h3>
      <div
        ref={list}
        className="sk-scroll"
        tabIndex={0}
        role="group"
        aria-label="Stuck executions, the oldest first"
        {...listeners}
      >
        {rows.length === 0 && (
          <p className="sk-fine">
            <span aria-hidden="true">✓</span> Nothing waits for a person.
          </p>
        )}
        <ul>
          {rows.map((row) => (
            <StuckRow
              key={row.one.id}
              {...props}
              row={row}
              said={answers.get(row.one.id) ?? null}
              waits={props.pending.filter(({ id }) => id === row.one.id)}
              onDismiss={dismiss}
            />
          ))}
        </ul>
        {more > 0 && <p className="sk-hint sk-more">and {grouped(more)} more, stuck since later</p>}
      </div>
    </section>
  );
}

interface RowProps extends StuckProps {
  row: Row;
  said: Said;
  waits: Pending[];
}

function StuckRow(props: RowProps) {
  const { row, legend, ways, waits, said, now, isOver, onAsk } = props;
  const { one, isGone } = row;
  const steps = one.steps ?? [];
  const cannot = isOver || isGone || waits.length > 0;
  const buttons = (step: string, which: Way[], all = false) =>
    which.map((way) => (
      <button
        key={way.how}
        type="button"
        className={`sk-button sk-way${way.final ? " sk-last-word" : ""}`}
        aria-label={`${labelOf(way)} ${all ? "all of " : step ? `${step} of ` : ""}${one.id}`}
        aria-haspopup="dialog"
        aria-disabled={cannot || undefined}
        title={way.meaning}
        onClick={() => !cannot && onAsk({ way, one, step })}
      >
        {labelOf(way)}
        {all && " all"}
      </button>
    ));
  const ofSteps = ways.filter(({ whole }) => !whole);
  const ofWhole = ways.filter(({ whole }) => whole);
  return (
    <li className="sk-stuck-row" data-id={one.id} data-gone={isGone || undefined}>
      <div className="sk-row-head">
        <b className="sk-id">{one.id}</b>
        <span className="sk-hint">
          {one.saga && `${named(one)} · `}
          {isGone
            ? `no longer ${props.more > 0 ? "listed" : "stuck"}`
            : `stuck for ${lasted(now - one.since)}`}
        </span>
        {steps.length > 1 && (
          <span className="sk-ways">
            {buttons("", ofSteps, true)}
            {buttons("", ofWhole)}
          </span>
        )}
      </div>
      <ul className="sk-stuck-steps">
        {steps.map(({ step, state, why }) => (
          <li key={step}>
            <span className="sk-stuck-step">
              {step && <b>{step}</b>} <Tag look={legend.states[state]} text={state} />
              <span className="sk-why">{why}</span>
            </span>
            <span className="sk-ways">
              {buttons(step, ofSteps)}
              {steps.length === 1 && buttons("", ofWhole)}
            </span>
          </li>
        ))}
      </ul>
      {waits.map(({ how, step }) => (
        <p key={`${how} ${step}`} className="sk-waits">
          <span aria-hidden="true">◷</span>{" "}
          {`${how}${step ? ` of ${step}` : ""}: waits for the answer`}
        </p>
      ))}
      <Answer said={waits.length > 0 ? null : said} onDismiss={() => props.onDismiss(one.id)} />
    </li>
  );
}

/** What came of a decision; both regions are there before they say anything. */
function Answer({ said, onDismiss }: { said: Said; onDismiss(): void }) {
  const text = (level: "info" | "error") => said?.level === level && <span>{said.text}</span>;
  return (
    <div className="sk-answer" data-level={said?.level}>
      <span role="status">{text("info")}</span>
      <span role="alert">{text("error")}</span>
      {said && (
        <button
          type="button"
          className="sk-tool"
          aria-label="Dismiss the answer"
          title="Dismiss"
          onClick={onDismiss}
        >
          <Icon name="close" size={14} />
        </button>
      )}
    </div>
  );
}

// -- in flight --------------------------------------------------------------------------------

interface FlightProps {
  running: MonitoredExecution[];
  more: number;
  now: number;
  legend: Legend;
}

export function Flight({ running, more, now, legend }: FlightProps) {
  const { rows, listeners } = useRows(running, "", []);
  return (
    <section className="sk-flight" aria-label="In flight">
      <h3>
        In flight <Count look={legend.statuses.running?.glyph} count={running.length + more} />
      </h3>
      <div
        className="sk-scroll"
        tabIndex={0}
        role="group"
        aria-label="Executions in flight, the oldest first"
        {...listeners}
      >
        {rows.length === 0 && <p className="sk-fine">Nothing is running.</p>}
        <ul>
          {rows.map(({ one, isGone }) => (
            <li
              key={one.id}
              className="sk-flight-row"
              data-id={one.id}
              data-gone={isGone || undefined}
            >
              <Tag look={legend.statuses[one.status]} text={one.status} />
              <span className="sk-id" title={one.id}>
                {one.id}
              </span>
              <span className="sk-hint sk-saga">{named(one)}</span>
              <span className="sk-hint sk-for">
                {isGone ? "gone" : `for ${lasted(now - one.since)}`}
              </span>
            </li>
          ))}
        </ul>
        {more > 0 && <p className="sk-hint sk-more">and {grouped(more)} more, younger ones</p>}
      </div>
    </section>
  );
}

function Count({ look, count }: { look: string | undefined; count: number }) {
  return (
    <span className="sk-number">
      <span aria-hidden="true">{look}</span> {grouped(count)}
    </span>
  );
}

function named({ saga, version }: MonitoredExecution): string {
  return version ? `${saga} ${version}` : saga;
}
