/** What a run is given: faults, input, seed; and the same as code to copy. */
import { memo, useEffect, useId, useState, type ReactNode } from "react";
import { Icon } from "../icons";
import { CopyButton } from "../panels/CopyButton";
import { KeptFocus } from "../panels/KeptFocus";
import { PythonCode } from "../panels/PythonCode";
import { indented } from "../panels/indent";
import type { Legend, PlayerState } from "../watching";
import { nameOf, placeOf, reachOf } from "./faults";
import { Tag } from "./look";
import type { PlayerSource } from "./source";

interface Props {
  state: PlayerState;
  asked: string[];
  legend: Legend;
  send: PlayerSource["send"];
}

export const Faults = memo(function Faults({ state, asked, legend, send }: Props) {
  const { faults, crashes, menu, film } = state;
  const without = <T,>(all: T[], number: number) => all.filter((_, i) => i !== number);
  return (
    <Part title="Goes wrong" state={state} asked={asked} of={["faults", "crashes"]}>
      {faults.length + crashes.length === 0 && (
        <p className="sk-hint">Nothing yet. Click a step to break it.</p>
      )}
      <ul className="sk-faults">
        {faults.map((fault, i) => (
          <Broken
            key={i}
            tag={<Tag look={legend.marks.fault} text={nameOf(fault, menu)} />}
            step={fault.step}
            words={reachOf(fault)}
            onRemove={() => send({ faults: without(faults, i) })}
          />
        ))}
        {crashes.map((crash, i) => (
          <Broken
            key={`crash ${i}`}
            tag={<Tag look={legend.marks.crash} text="crash" />}
            step=""
            words={placeOf(film, i, crash)}
            onRemove={() => send({ crashes: without(crashes, i) })}
          />
        ))}
      </ul>
      {faults.length + crashes.length > 1 && (
        <button
          type="button"
          className="sk-button"
          onClick={() => send({ faults: [], crashes: [] })}
        >
          Remove all
        </button>
      )}
    </Part>
  );
});

function Broken({
  tag,
  step,
  words,
  onRemove,
}: {
  tag: ReactNode;
  step: string;
  words: string;
  onRemove(): void;
}) {
  return (
    <li>
      <span>
        {tag} {step && <b>{step}</b>} <span className="sk-hint">{words}</span>
      </span>
      <button
        type="button"
        className="sk-tool"
        aria-label={`Remove this fault${step ? ` of ${step}` : ""}`}
        title="Remove"
        onClick={onRemove}
      >
        <Icon name="close" size={14} />
      </button>
    </li>
  );
}

export const Given = memo(function Given({ state, asked, send }: Props) {
  const [input, setInput] = useTyped(state.input);
  const [seed, setSeed] = useTyped(String(state.seed));
  const id = useId();
  const hasChanged = input !== state.input || seed !== String(state.seed);
  const run = () => {
    if (!hasChanged) return;
    send({
      ...(input === state.input ? {} : { input }),
      ...(seed === String(state.seed) ? {} : { seed: Number(seed) }),
    });
  };
  return (
    <Part title="Input and seed" state={state} asked={asked} of={["input", "seed"]}>
      <textarea
        className="sk-input sk-code"
        aria-label="Input, as JSON"
        value={input}
        rows={Math.min(Math.max(input.split("\n").length, 2), 8)}
        spellCheck={false}
        onChange={(event) => setInput(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
          else if (!indented(event)) return;
          event.preventDefault();
          event.stopPropagation();
        }}
      />
      <div className="sk-bar">
        <label htmlFor={id}>Seed</label>
        <input
          id={id}
          className="sk-input sk-seed"
          type="number"
          step={1}
          value={seed}
          onChange={(event) => setSeed(event.target.value)}
          onKeyDown={(event) => event.key === "Enter" && run()}
        />
        <button type="button" className="sk-button" disabled={!hasChanged} onClick={run}>
          Run with these
        </button>
      </div>
    </Part>
  );
});

/** The scenario as code: Python to run it again, YAML to keep, which can be edited here too. */
export const Code = memo(function Code({ state, asked, send }: Props) {
  const [form, setForm] = useState<"python" | "yaml">("python");
  const [yaml, setYaml] = useTyped(state.yaml);
  const choice = (name: typeof form, label: string) => (
    <button
      type="button"
      className="sk-choice"
      aria-pressed={form === name}
      onClick={() => setForm(name)}
    >
      {label}
    </button>
  );
  return (
    <Part title="This run as code" state={state} asked={asked} of={["scenario"]}>
      <div className="sk-bar">
        <span className="sk-choices" role="group" aria-label="Form">
          {choice("python", "Python")}
          {choice("yaml", "YAML")}
        </span>
        <CopyButton
          text={form === "python" ? state.code : yaml}
          what={form === "python" ? "the Python code" : "the scenario as YAML"}
        />
        {form === "yaml" && (
          <button
            type="button"
            className="sk-button"
            disabled={yaml === state.yaml}
            onClick={() => send({ scenario: yaml })}
          >
            Run it
          </button>
        )}
      </div>
      {form === "python" ? (
        <PythonCode code={state.code} label="Python code of this run" />
      ) : (
        <textarea
          className="sk-input sk-code"
          aria-label="The scenario as YAML"
          value={yaml}
          rows={Math.min(yaml.split("\n").length + 1, 14)}
          spellCheck={false}
          onChange={(event) => setYaml(event.target.value)}
          onKeyDown={(event) => indented(event) && event.preventDefault()}
        />
      )}
    </Part>
  );
});

/** A part of the side, and what went wrong with what was last asked for there. */
export function Part({
  title,
  state,
  asked,
  of,
  children,
}: {
  title: string;
  state: PlayerState;
  asked: string[];
  of: string[];
  children: ReactNode;
}) {
  const said = asked.some((one) => of.includes(one)) ? state.said : null;
  return (
    <section className="sk-part-of">
      <h3>{title}</h3>
      <KeptFocus>{children}</KeptFocus>
      <div role="alert">
        {said && <p className={said.level === "error" ? "sk-error" : undefined}>{said.text}</p>}
      </div>
    </section>
  );
}

/** A text being typed, until the kernel has another one. */
function useTyped(given: string): [string, (text: string) => void] {
  const [text, setText] = useState(given);
  useEffect(() => setText(given), [given]);
  return [text, setText];
}
