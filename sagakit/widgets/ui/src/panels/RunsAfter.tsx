/** What a step runs after, as a list to tick: the way to make edges without a mouse. */
import { useId, useMemo, useState } from "react";
import type { Draft, Path } from "../protocol";
import { Problems } from "./controls";
import { useForm, usePlace } from "./form";
import { problemsAt } from "./problems";

const MANY = 8; // more steps than this can be searched

interface Props {
  draft: Draft;
  names: string[]; // the steps that the list is for
  path: Path;
  hint: string;
  onToggle(before: string, on: boolean): void;
}

export function RunsAfter({ draft, names, path, hint, onToggle }: Props) {
  const { problems } = useForm();
  const place = usePlace();
  const [search, setSearch] = useState("");
  const id = useId();
  const steps = draft.steps.filter((one) => names.includes(one.step));
  const others = draft.steps.map((one) => one.step).filter((name) => !names.includes(name));
  const count = (before: string) => steps.filter((one) => one.after?.includes(before)).length;
  const later = useMemo(() => laterThan(draft, names), [draft, names.join("/")]);
  const first = !others.some((name) => count(name) > 0);
  const shown = others.filter(
    (name) => count(name) > 0 || name.toLowerCase().includes(search.trim().toLowerCase()),
  );
  return (
    <fieldset
      className="sk-group sk-after"
      data-path={place(path)}
      aria-describedby={`${id}-hint ${id}-problems`}
    >
      <legend>Runs after</legend>
      <p className="sk-hint" id={`${id}-hint`}>
        {others.length === 0
          ? "There is no other step yet."
          : first
            ? `It is first: nothing runs before it. Tick ${hintWord(names)} what it shall wait for.`
            : hint}
      </p>
      {others.length > MANY && (
        <input
          type="search"
          aria-label="Search the steps to run after"
          placeholder="Search"
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
      )}
      {others.length > 0 && (
        <div className="sk-ticks">
          {shown.map((name) => (
            <Before
              key={name}
              name={name}
              state={count(name) === 0 ? "off" : count(name) === names.length ? "on" : "some"}
              isLater={later.has(name)}
              onToggle={(on) => onToggle(name, on)}
            />
          ))}
          {shown.length === 0 && <p className="sk-hint">No step is called so.</p>}
        </div>
      )}
      <Problems id={`${id}-problems`} problems={problemsAt(problems, path)} />
    </fieldset>
  );
}

const hintWord = (names: string[]) => (names.length > 1 ? "here" : "below");

/** One step that the others may run after, or not: then it says why. */
function Before(props: {
  name: string;
  state: "on" | "off" | "some";
  isLater: boolean;
  onToggle: (on: boolean) => void;
}) {
  const { name, state, isLater } = props;
  const id = useId();
  return (
    <label className="sk-tick">
      <input
        type="checkbox"
        checked={state === "on"}
        aria-disabled={isLater || undefined} // still reached by Tab, to hear why
        aria-describedby={isLater ? id : undefined}
        ref={(box) => {
          if (box) box.indeterminate = state === "some";
        }}
        onChange={(event) => !isLater && props.onToggle(event.target.checked)}
      />
      <span>{name}</span>
      {isLater && (
        <small id={id} className="sk-muted">
          comes later
        </small>
      )}
    </label>
  );
}

/** All steps that run after one of these, at once or by way of others. */
export function laterThan(draft: Draft, names: string[]): Set<string> {
  const next = new Map<string, string[]>();
  for (const { step, after } of draft.steps) {
    for (const before of after ?? []) next.set(before, [...(next.get(before) ?? []), step]);
  }
  const found = new Set<string>();
  const open = [...names];
  while (open.length > 0) {
    for (const name of next.get(open.pop()!) ?? []) {
      if (found.has(name)) continue;
      found.add(name);
      open.push(name);
    }
  }
  return found;
}
