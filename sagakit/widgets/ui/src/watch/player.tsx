/** The player: a run that is watched, broken by clicks, and guessed. */
import {
  useCallback,
  useEffect,
  useId,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
  type KeyboardEvent,
} from "react";
import { Boundary } from "../boundary";
import { Restarted } from "../shell";
import type { FaultForm, Legend } from "../watching";
import { nameOf, reachOf } from "./faults";
import { Head, HeadSheet, onKeys, Root, type SheetName } from "./frame";
import { Reel } from "./frames";
import { Graph } from "./graph";
import { Ledgers } from "./ledgers";
import { eventWords, Log, seconds, stepOf } from "./log";
import { Tag } from "./look";
import { FaultMenu } from "./menu";
import { usePlayhead } from "./playhead";
import { Predict } from "./predict";
import { Code, Faults, Given } from "./setup";
import type { PlayerSource } from "./source";
import { Transport } from "./transport";

const HEIGHT = 700; // to begin with
const noMove = () => () => {};

export function PlayerApp({ source, legend }: { source: PlayerSource; legend: Legend }) {
  const [height, setHeight] = useState(HEIGHT);
  return (
    <Root of="player" height={height} onHeight={setHeight}>
      <Boundary what="The player" again={source} cure="Run the cell again.">
        <Player source={source} legend={legend} />
      </Boundary>
    </Root>
  );
}

/** Without a frame of its own: it stands in that of the matrix too. */
export function Player({ source, legend }: { source: PlayerSource; legend: Legend }) {
  const { state, asked, waits, connected } = useSyncExternalStore(source.subscribe, source.get);
  const { film, menu, answer } = state;
  const { send } = source;
  const [predicts, setPredicts] = useState(false);
  const [menuOf, setMenuOf] = useState<string | null>(null);
  const [sheet, setSheet] = useState<SheetName>(null);
  const tally = useTally(answer);
  const hides = predicts && !answer;
  const head = usePlayhead(film, hides);
  const reel = useMemo(() => new Reel(film), [film]);
  const frame = useMemo(() => reel.frame(head.at), [reel, head.at]);
  const struck = useStruck(state.faults, menu);
  const said = eventWords(film, head.at);
  const hint = useId();
  const log = useCallback((event: number) => head.go(event), [head.go]);
  const openMenu = useCallback((path: string) => setMenuOf(path), []);
  const node = menuOf === null ? -1 : film.nodes.findIndex(({ path }) => path === menuOf);
  const close = () => setMenuOf(null);

  const onKeyDown = (event: KeyboardEvent) => {
    const moves = hides ? noMove : (does: () => void) => does;
    onKeys(event, setSheet, {
      p: moves(head.toggle),
      ",": moves(() => head.go(head.at - 1)),
      ".": moves(() => head.go(head.at + 1)),
    });
  };

  return (
    <div
      className="sk-player"
      tabIndex={-1} // who clicks on nothing in it is still in it, for its keys
      onKeyDown={onKeyDown}
      data-event={head.at}
      data-status={frame.status}
      data-waits={waits || undefined}
    >
      <Head
        title={film.title}
        note={film.note}
        sheet={sheet}
        onSheet={setSheet}
        left={
          <>
            <Tag look={legend.statuses[frame.status]} text={frame.status} />
            <span className="sk-clock" title="Virtual time since it started">
              {seconds(film.events.at[head.at]!)}
            </span>
          </>
        }
      >
        <button
          type="button"
          className="sk-choice"
          aria-pressed={predicts}
          aria-describedby={hint}
          onClick={() => setPredicts(!predicts)}
        >
          Predict
        </button>
        <span id={hint} className="sk-hidden">
          asks which compensations run before it shows them
        </span>
      </Head>
      {!connected && <Restarted kept="What was run can still be watched." />}
      <div className="sk-stage">
        <Graph
          nodes={film.nodes}
          edges={film.edges}
          states={frame.states}
          legend={legend}
          struck={struck}
          now={stepOf(film, head.at)}
          asks="what can go wrong"
          selected={menuOf ?? undefined}
          onStep={openMenu}
        />
        <Transport film={film} head={head} legend={legend} off={hides} words={said} />
        <div className={`sk-below${film.ledgers.rows.length > 0 ? "" : " sk-no-ledgers"}`}>
          <Log film={film} legend={legend} at={head.at} hides={hides} onGo={log} />
          {film.ledgers.rows.length > 0 && <Ledgers film={film} frame={frame} />}
        </div>
        <aside className="sk-side sk-panel" aria-label="The run">
          {predicts && (
            <Predict state={state} asked={asked} tally={tally} send={send} onAgain={head.toggle} />
          )}
          <Faults state={state} asked={asked} legend={legend} send={send} />
          <Code state={state} asked={asked} legend={legend} send={send} />
          <Given state={state} asked={asked} legend={legend} send={send} />
        </aside>
        {node >= 0 && (
          <FaultMenu
            node={film.nodes[node]!}
            number={node}
            menu={menu}
            legend={legend}
            onFault={(fault) => (send({ faults: [...state.faults, fault] }), close())}
            onCrash={(crash) => (send({ crashes: [...state.crashes, crash] }), close())}
            onClose={close}
          />
        )}
        <HeadSheet sheet={sheet} onSheet={setSheet} legend={legend} keys={KEYS} />
      </div>
      <span className="sk-hidden" role="status" aria-live="polite">
        {said}
      </span>
    </div>
  );
}

/** What goes wrong at each step, in words. */
function useStruck(faults: FaultForm[], menu: Parameters<typeof nameOf>[1]): Map<string, string> {
  return useMemo(() => {
    const found = new Map<string, string>();
    for (const fault of faults) {
      const words = `${nameOf(fault, menu)}, ${reachOf(fault)}`;
      found.set(fault.step, [found.get(fault.step), words].filter(Boolean).join("; "));
    }
    return found;
  }, [faults, menu]);
}

/** How many predictions were right. */
function useTally(answer: { right: boolean; seq: number } | null) {
  const [tally, setTally] = useState({ right: 0, all: 0 });
  const last = useRef<number | null>(null);
  useEffect(() => {
    if (!answer || answer.seq === last.current) return;
    last.current = answer.seq;
    setTally(({ right, all }) => ({ right: right + (answer.right ? 1 : 0), all: all + 1 }));
  }, [answer]);
  return tally;
}

const KEYS: [string, string][] = [
  ["P", "play, pause"],
  [", .", "one event back, one on"],
  ["← → Home End", "on the scrubber and in the event log: other events"],
  ["← ↑ → ↓", "on a step: to the next step that way"],
  ["Enter", "on a step: what can go wrong there"],
  ["+ − 0", "nearer, farther, everything"],
];
