/** The question before the film rolls: which compensations run, and in which order? */
import { useEffect, useRef, useState } from "react";
import { Icon } from "../icons";
import type { PlayerState } from "../watching";
import { added, moved, removed } from "./order";
import { Part } from "./setup";
import type { Played, PlayerSource } from "./source";

interface Props {
  state: Played;
  asked: string[];
  tally: { right: number; all: number };
  send: PlayerSource["send"];
  onAgain(): void;
}

export function Predict({ state, asked, tally, send, onAgain }: Props) {
  const { choices, answer } = state;
  const [order, setOrder] = useState<string[]>([]);
  useEffect(() => setOrder([]), [state.film]);
  const list = useRef<HTMLOListElement>(null);
  const name = (step: string) => choices.find((one) => one.step === step)?.compensation ?? step;

  const change = (next: string[], step: string, button: string) => {
    setOrder(next);
    // the same button of the same row, which stands elsewhere now
    requestAnimationFrame(() => {
      const row = list.current?.querySelector(`[data-step="${CSS.escape(step)}"]`);
      row?.querySelector<HTMLElement>(`[data-does="${button}"]`)?.focus();
    });
  };
  if (answer) {
    return (
      <Part title="Your prediction" state={state} asked={asked} of={["guess"]}>
        <Verdict state={state} name={name} tally={tally} onAgain={onAgain} />
      </Part>
    );
  }
  const left = choices.filter(({ step }) => !order.includes(step));
  return (
    <Part
      title="Which compensations run, in which order?"
      state={state}
      asked={asked}
      of={["guess"]}
    >
      <p className="sk-hint">
        The run is hidden until you answer. Choose them in the order in which they run.
      </p>
      <div className="sk-choose" role="group" aria-label="Compensations">
        {left.map(({ step, compensation }) => (
          <button
            key={step}
            type="button"
            className="sk-button"
            title={`undoes ${step}`}
            onClick={() => setOrder(added(order, step))}
          >
            <Icon name="plus" size={12} /> {compensation}
          </button>
        ))}
        {choices.length === 0 && <p>No step of this saga has a compensation.</p>}
      </div>
      <ol ref={list} className="sk-order" aria-label="Your order">
        {order.map((step, i) => (
          <li key={step} data-step={step}>
            <span>{name(step)}</span>
            <button
              type="button"
              className="sk-tool"
              data-does="up"
              aria-label={`${name(step)} earlier`}
              aria-disabled={i === 0 || undefined}
              onClick={() => change(moved(order, step, -1), step, "up")}
            >
              ↑
            </button>
            <button
              type="button"
              className="sk-tool"
              data-does="down"
              aria-label={`${name(step)} later`}
              aria-disabled={i === order.length - 1 || undefined}
              onClick={() => change(moved(order, step, 1), step, "down")}
            >
              ↓
            </button>
            <button
              type="button"
              className="sk-tool"
              aria-label={`${name(step)} does not run`}
              onClick={() => setOrder(removed(order, step))}
            >
              <Icon name="close" size={14} />
            </button>
          </li>
        ))}
      </ol>
      <button type="button" className="sk-button sk-primary" onClick={() => send({ guess: order })}>
        {order.length === 0 ? "Nothing is undone" : "This is the order"}
      </button>
    </Part>
  );
}

interface VerdictProps {
  state: PlayerState & Pick<Played, "answer">;
  name(step: string): string;
  tally: { right: number; all: number };
  onAgain(): void;
}

function Verdict({ state, name, tally, onAgain }: VerdictProps) {
  const answer = state.answer!;
  return (
    <div role="status">
      <p className={answer.right ? "sk-holds" : "sk-holds-not"} data-right={answer.right}>
        <b>{answer.right ? "✓ Right" : "✗ Not quite"}</b>
      </p>
      <p>{answer.words}</p>
      {answer.expected.length > 0 && (
        <ol className="sk-order">
          {answer.expected.map((step) => (
            <li key={step}>
              <span>{name(step)}</span>
            </li>
          ))}
        </ol>
      )}
      <p className="sk-hint">{`${tally.right} of ${tally.all} right so far. Break another step to be asked again.`}</p>
      <button type="button" className="sk-button" onClick={onAgain}>
        Watch it
      </button>
    </div>
  );
}
