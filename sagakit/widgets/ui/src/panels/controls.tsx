/** The single controls of a form: a label, a control, a hint, and what is wrong, tied together. */
import { useId, type ReactNode } from "react";
import type { Json, Path, Problem } from "../protocol";
import { usePlace } from "./form";
import { levelOf } from "./problems";
import { useTyped } from "./typed";
import type { Read } from "./values";

/** Text with ``names`` in it. */
export function Prose({ text }: { text: string }) {
  return text
    .split(/`+([^`]+)`+/)
    .map((part, at) => (at % 2 ? <code key={at}>{part}</code> : part));
}

export function Problems({
  id,
  problems,
  error,
}: {
  id?: string;
  problems: Problem[];
  error?: string;
}) {
  if (!error && problems.length === 0) return null;
  return (
    <ul className="sk-field-problems" id={id}>
      {error && <FieldProblem level="error" text={error} />}
      {problems.map((one, at) => (
        <FieldProblem key={at} level={one.level} text={one.text} cure={one.cure} />
      ))}
    </ul>
  );
}

function FieldProblem({ level, text, cure }: Pick<Problem, "level" | "text" | "cure">) {
  const { icon, one } = levelOf(level);
  return (
    <li className={`sk-level-${level}`}>
      <span className="sk-level-icon" role="img" aria-label={one}>
        {icon}
      </span>
      <span>
        <Prose text={text} />
        {cure && (
          <span className="sk-cure">
            <Prose text={cure} />
          </span>
        )}
      </span>
    </li>
  );
}

/** The attributes that tie a control to its hint and its problems. */
interface Ties {
  id: string;
  "aria-describedby"?: string;
  "aria-invalid"?: true;
}

interface RowProps {
  label: string;
  hint?: string;
  unit?: string;
  unitNote?: string; // the value in a larger unit
  path?: Path;
  problems?: Problem[];
  error?: string;
  inline?: boolean; // the control stands before its label: a checkbox
  hideLabel?: boolean;
  told?: string; // the id of the element that shows the problems, where that is not the field itself
  onClear?: () => void;
  children: (ties: Ties) => ReactNode;
}

/** A label, a control, and what there is to say about it. */
function Row(props: RowProps) {
  const {
    label,
    hint,
    unit,
    unitNote,
    path,
    problems = [],
    error,
    inline,
    hideLabel,
    told,
    onClear,
  } = props;
  const id = useId();
  const place = usePlace();
  const wrong = Boolean(error) || problems.some((one) => one.level === "error");
  const shown = told ? [] : problems;
  const described = [
    hint && `${id}-hint`,
    (error || shown.length) && `${id}-problems`,
    problems.length && told,
  ];
  const ties: Ties = {
    id,
    "aria-describedby": described.filter(Boolean).join(" ") || undefined,
    "aria-invalid": wrong || undefined,
  };
  const name = (
    <label htmlFor={id} className={hideLabel ? "sk-hidden" : undefined}>
      {label}
      {unit && <span className="sk-hidden">, in seconds</span>}
    </label>
  );
  return (
    <div className={`sk-field${inline ? " sk-inline" : ""}`} data-path={place(path)}>
      {!inline && name}
      <div className="sk-control">
        {props.children(ties)}
        {inline && name}
        {unit && (
          <span className="sk-unit" aria-hidden="true">
            {unit}
            {unitNote && ` = ${unitNote}`}
          </span>
        )}
        {onClear && <ClearButton label={label} onClear={onClear} />}
      </div>
      {hint && (
        <p className="sk-hint" id={`${id}-hint`}>
          <Prose text={hint} />
        </p>
      )}
      <Problems id={`${id}-problems`} problems={shown} error={error} />
    </div>
  );
}

function ClearButton({ label, onClear }: { label: string; onClear: () => void }) {
  const name = `Clear ${label.toLowerCase()}`;
  return (
    <button
      type="button"
      className="sk-icon-button"
      aria-label={name}
      title={name}
      onClick={onClear}
    >
      <span aria-hidden="true">×</span>
    </button>
  );
}

interface TextProps extends Omit<RowProps, "children" | "error"> {
  value: string;
  read: (text: string) => Read;
  onCommit: (value: Json | undefined) => void;
  names?: string[]; // what the text can be, for instance
  lines?: number;
  placeholder?: string;
  numeric?: boolean;
  code?: boolean; // in which Enter begins a new line
}

/** A field that is typed into. */
export function TextRow(props: TextProps) {
  const {
    value,
    read,
    onCommit,
    names = [],
    lines = 1,
    placeholder,
    numeric,
    code,
    ...row
  } = props;
  const { error, control } = useTyped(value, read, onCommit, code);
  const list = useId();
  const className = code ? "sk-code" : undefined;
  return (
    <Row {...row} error={error}>
      {(ties) =>
        lines > 1 ? (
          <textarea
            {...ties}
            {...control}
            {...{ placeholder, className }}
            rows={Math.min(lines, 12)}
            spellCheck={false}
          />
        ) : (
          <>
            <input
              {...ties}
              {...control}
              {...{ placeholder, className }}
              type="text"
              inputMode={numeric ? "decimal" : undefined}
              list={names.length ? list : undefined}
              autoComplete="off"
              spellCheck={false}
            />
            {names.length > 0 && <Names id={list} names={names} />}
          </>
        )
      }
    </Row>
  );
}

function Names({ id, names }: { id: string; names: string[] }) {
  return (
    <datalist id={id}>
      {names.map((name) => (
        <option key={name} value={name} />
      ))}
    </datalist>
  );
}

interface ChoiceProps extends Omit<RowProps, "children"> {
  value: string;
  choices: { value: string; label: string }[];
  onChoose: (value: string) => void;
}

/** One of a few. */
export function ChoiceRow({ value, choices, onChoose, ...row }: ChoiceProps) {
  return (
    <Row {...row}>
      {(ties) => (
        <select {...ties} value={value} onChange={(event) => onChoose(event.target.value)}>
          {choices.map((one) => (
            <option key={one.value} value={one.value}>
              {one.label}
            </option>
          ))}
        </select>
      )}
    </Row>
  );
}

interface TickProps extends Omit<RowProps, "children" | "inline"> {
  checked: boolean;
  mixed?: boolean;
  disabled?: boolean;
  onTick: (checked: boolean) => void;
}

/** Yes or no. */
export function TickRow({ checked, mixed = false, disabled, onTick, ...row }: TickProps) {
  return (
    <Row {...row} inline>
      {(ties) => (
        <input
          {...ties}
          type="checkbox"
          checked={checked && !mixed}
          disabled={disabled}
          ref={(box) => {
            if (box) box.indeterminate = mixed;
          }}
          onChange={(event) => onTick(event.target.checked)}
        />
      )}
    </Row>
  );
}
