/** The monitor: what an engine has in flight, what ends how, and what waits for a person. */
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { Boundary } from "../boundary";
import { Icon } from "../icons";
import { CopyButton } from "../panels/CopyButton";
import { Restarted } from "../shell";
import { Head, HeadSheet, onKeys, Root, type SheetName } from "../watch/frame";
import { paint } from "../watch/look";
import type { Legend, MonitorState } from "../watching";
import { Chart } from "./chart";
import { Decide, type Asked } from "./decide";
import { Flight, Stuck } from "./lists";
import { grouped } from "./numbers";
import type { MonitorSource } from "./source";

const HEIGHT = 620; // to begin with

export function MonitorApp({ source, legend }: { source: MonitorSource; legend: Legend }) {
  const [height, setHeight] = useState(HEIGHT);
  const [sheet, setSheet] = useState<SheetName>(null);
  const root = useRef<HTMLDivElement>(null);
  useEffect(source.show, [source]);
  const toStuck = () => {
    const find = (what: string) => root.current?.querySelector<HTMLElement>(`.sk-stuck ${what}`);
    (find("button") ?? find(".sk-scroll"))?.focus();
  };
  return (
    <Root
      of="monitor"
      height={height}
      onHeight={setHeight}
      className="sk-monitor-root"
      ref={root}
      onKeyDown={(event) => onKeys(event, setSheet, { s: toStuck })}
    >
      <Boundary what="The monitor" again={source} cure="Run the cell again.">
        <Monitor source={source} legend={legend} sheet={sheet} onSheet={setSheet} />
      </Boundary>
    </Root>
  );
}

const KEYS: [string, string][] = [
  ["S", "to what is stuck"],
  ["Tab", "to the next button"],
  ["Enter", "on a button: who decides, and why; in that form: decide"],
  ["Esc", "in the form: decide nothing"],
];

interface Props {
  source: MonitorSource;
  legend: Legend;
  sheet: SheetName;
  onSheet(sheet: SheetName): void;
}

function Monitor({ source, legend, sheet, onSheet }: Props) {
  const { state, connected } = useSyncExternalStore(source.state.subscribe, source.state.get);
  const pending = useSyncExternalStore(source.state.subscribe, source.pending);
  const answers = useSyncExternalStore(source.state.subscribe, source.answers);
  const [asked, setAsked] = useState<Asked | null>(null);
  const [read, setRead] = useState<ReadonlySet<unknown>>(new Set()); // answers, dismissed here
  const unread = useMemo(
    () => new Map([...answers].filter(([, answer]) => !read.has(answer))),
    [answers, read],
  );
  const [who, setWho] = useState(source.who);
  const isOver = !connected || state.over !== "";
  const now = useNow(source.now, isOver);
  const { counts, stuck, over, again } = state;
  const isEmpty = Object.keys(counts).length === 0;

  const decide = (by: string, why: string) => {
    const { way, one, step } = asked!;
    setWho(by);
    setAsked(null);
    source.decide({
      id: one.id,
      ...(step && !way.whole ? { step } : {}),
      how: way.how,
      by,
      why,
    });
  };
  return (
    <div className="sk-monitor" data-pending={pending.length} data-over={isOver || undefined}>
      <Head
        title="Engine"
        note={state.source}
        sheet={sheet}
        onSheet={onSheet}
        left={
          <span className="sk-live" data-live={!isOver || undefined}>
            {isOver ? "not live" : "live"}
          </span>
        }
      />
      {!connected && (
        <Restarted kept={restartWords(again, source.lost)}>
          {again && <CopyButton text={again} what="the code that shows the journal" />}
        </Restarted>
      )}
      <div role="alert">
        {connected && over && (
          <div className="sk-banner">
            <Icon name="warning" />
            <span className="sk-over">{over}</span>
            {again && <CopyButton text={again} what="the code that shows the journal" />}
          </div>
        )}
      </div>
      <div className="sk-monitor-body">
        <Counts counts={counts} legend={legend} />
        {isEmpty ? (
          <p className="sk-none">
            <b>No executions yet.</b>
            <span className="sk-hint">What the engine runs will be seen here as it happens.</span>
          </p>
        ) : (
          <>
            <Chart
              at={state.at}
              series={state.series}
              throughput={state.throughput}
              window={state.window}
              legend={legend}
            />
            <div className="sk-lists">
              <Stuck
                stuck={stuck}
                more={state.stuck_more}
                now={now}
                ways={source.ways}
                legend={legend}
                pending={pending}
                asked={asked}
                answers={unread}
                isOver={isOver}
                onAsk={setAsked}
                onDismiss={(id) => setRead(new Set([...read, answers.get(id)]))}
              />
              <Flight running={state.running} more={state.running_more} now={now} legend={legend} />
            </div>
          </>
        )}
      </div>
      {asked && (
        <Decide
          asked={asked}
          by={who}
          isOver={whyNot(asked, state, connected)}
          legend={legend}
          onDecide={decide}
          onClose={() => setAsked(null)}
        />
      )}
      <HeadSheet sheet={sheet} onSheet={onSheet} legend={legend} keys={KEYS} />
      <Calm text={stuckWords(stuck.length + state.stuck_more)} />
    </div>
  );
}

/** Why what a form is open for cannot be decided any longer; empty: it can. */
function whyNot({ one, step }: Asked, state: MonitorState, connected: boolean): string {
  if (!connected) return "The kernel has restarted: nothing can be decided here any more.";
  if (state.over) return state.over;
  const now = state.stuck.find(({ id }) => id === one.id);
  if (now && (!step || now.steps?.some((stuck) => stuck.step === step))) return "";
  const word = !now && state.stuck_more > 0 ? "listed" : "stuck"; // it may be one of the others
  return `${one.id} is no longer ${word}${now ? ` at ${step}` : ""}: there is nothing to decide.`;
}

function restartWords(again: string, lost: number): string {
  const unsure =
    lost > 0 ? " Whether what was decided last is recorded is not known here: look again." : "";
  return again
    ? `This is how it stood; ${again} shows what its journal has.${unsure}`
    : "This is how it stood; what was only in memory has gone with it.";
}

function stuckWords(count: number): string {
  return count === 0
    ? ""
    : `${grouped(count)} ${count === 1 ? "execution is" : "executions are"} stuck`;
}

// -- how many of each ---------------------------------------------------------------------------

function Counts({ counts, legend }: { counts: MonitorState["counts"]; legend: Legend }) {
  const others = Object.keys(counts).filter((status) => !(status in legend.statuses));
  return (
    <ul className="sk-statuses" aria-label="Executions by status">
      {[...Object.keys(legend.statuses), ...others].map((status) => {
        const look = legend.statuses[status];
        const count = counts[status] ?? 0;
        return (
          <li key={status} data-status={status} data-count={count}>
            <span className="sk-count-sign sk-seen" {...paint(look)} aria-hidden="true">
              <span>{look?.glyph}</span>
            </span>
            <b className="sk-big">{grouped(count)}</b>
            <span className="sk-count-name">{status}</span>
          </li>
        );
      })}
    </ul>
  );
}

// -- time ---------------------------------------------------------------------------------------

/** The kernel's time, told each second until nothing comes any more. */
function useNow(read: () => number, isOver: boolean): number {
  const [now, setNow] = useState(read);
  useEffect(() => {
    if (isOver) return;
    setNow(read());
    const timer = setInterval(() => setNow(read()), 1000);
    return () => clearInterval(timer);
  }, [read, isOver]);
  return now;
}

const PAUSE = 8000; // milliseconds between two announcements, at least

/** Says a text aloud when it changes, but not more often than can be listened to. */
function Calm({ text }: { text: string }) {
  const [said, setSaid] = useState("");
  const last = useRef(-Infinity);
  useEffect(() => {
    const wait = Math.max(0, last.current + PAUSE - performance.now());
    const timer = setTimeout(() => {
      last.current = performance.now();
      setSaid(text);
    }, wait);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <span className="sk-hidden" role="status">
      {said}
    </span>
  );
}
