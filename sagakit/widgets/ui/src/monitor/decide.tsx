/** Asks who decides about what is stuck, and why, before it is told the kernel. */
import { useId, useState, type FormEvent } from "react";
import { Icon } from "../icons";
import { Sheet } from "../sheets";
import { Tag } from "../watch/look";
import type { Legend, MonitoredExecution, Way } from "../watching";

/** What somebody is about to decide. */
export interface Asked {
  way: Way;
  one: MonitoredExecution;
  step: string; // empty: all of its stuck steps, or the whole of it
}

interface Props {
  asked: Asked;
  by: string; // to begin with
  isOver: string; // why it cannot be decided any longer; empty: it can
  legend: Legend;
  onDecide(by: string, why: string): void;
  onClose(): void;
}

export function Decide({ asked, by: first, isOver, legend, onDecide, onClose }: Props) {
  const { way, one, step } = asked;
  const [by, setBy] = useState(first);
  const [why, setWhy] = useState("");
  const [wasSent, setWasSent] = useState(false);
  const name = labelOf(way);
  const steps = (one.steps ?? []).filter((stuck) => !step || way.whole || stuck.step === step);
  const wrong = {
    by: wasSent && !by.trim() ? "Say who decides: it is kept in the journal." : "",
    why: wasSent && !why.trim() ? "Say why: it is kept in the journal." : "",
  };
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    setWasSent(true);
    if (isOver) return;
    const missing = !by.trim() ? "by" : !why.trim() ? "why" : null;
    if (missing) event.currentTarget.querySelector<HTMLElement>(`[name=${missing}]`)?.focus();
    else onDecide(by.trim(), why.trim());
  };
  return (
    <Sheet
      label={`${name} ${step && !way.whole ? `${step} of ${one.id}` : one.id}`}
      className="sk-decide"
      onClose={onClose}
    >
      <p className={way.final ? "sk-final" : undefined}>
        {way.final && <Icon name="warning" />}
        <span>
          {way.final && <b>This is final. </b>}
          {`${name}: ${way.meaning}.`}
        </span>
      </p>
      {/* it may be longer than its box, so the keyboard must reach it */}
      <ul className="sk-decide-steps" aria-label="What is stuck" tabIndex={0}>
        {steps.map((stuck) => (
          <li key={stuck.step}>
            <b>{stuck.step}</b> <Tag look={legend.states[stuck.state]} text={stuck.state} />
            <span className="sk-why">{stuck.why}</span>
          </li>
        ))}
      </ul>
      <form noValidate onSubmit={onSubmit}>
        <Field
          name="by"
          label="Who decides"
          value={by}
          wrong={wrong.by}
          isFirst={!first}
          onChange={setBy}
        />
        <Field
          name="why"
          label="Reason"
          value={why}
          wrong={wrong.why}
          isFirst={!!first}
          onChange={setWhy}
        />
        <div role="alert">{isOver && <p className="sk-error">{isOver}</p>}</div>
        <div className="sk-decide-foot">
          <span className="sk-hint">Both are kept in the journal.</span>
          <button type="button" className="sk-button" onClick={onClose}>
            Cancel
          </button>
          <button
            type="submit"
            className={`sk-button ${way.final ? "sk-decide-final" : "sk-primary"}`}
            aria-disabled={isOver !== "" || undefined}
          >
            {name}
          </button>
        </div>
      </form>
    </Sheet>
  );
}

export function labelOf({ how }: Way): string {
  return how.slice(0, 1).toUpperCase() + how.slice(1);
}

interface FieldProps {
  name: string;
  label: string;
  value: string;
  wrong: string;
  isFirst: boolean;
  onChange(value: string): void;
}

function Field({ name, label, value, wrong, isFirst, onChange }: FieldProps) {
  const id = useId();
  return (
    <div className="sk-decide-field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        name={name}
        className="sk-input"
        value={value}
        autoComplete="off"
        required
        aria-invalid={wrong !== "" || undefined}
        aria-describedby={wrong ? `${id}-wrong` : undefined}
        data-first={isFirst || undefined}
        onChange={(event) => onChange(event.target.value)}
      />
      <span id={`${id}-wrong`} className="sk-error" role="alert">
        {wrong}
      </span>
    </div>
  );
}
