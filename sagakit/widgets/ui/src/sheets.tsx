/** What opens over the canvas and closes by Escape: the keys, the search, the files. */
import { useEffect, useId, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { found } from "./graph";
import { Icon } from "./icons";
import type { Draft } from "./protocol";

interface SheetProps {
  label: string;
  className?: string;
  onClose(): void;
  children: ReactNode;
}

/** A dialog in the widget; the focus goes into it, stays in it, and goes back where it was. */
export function Sheet({ label, className = "", onClose, children }: SheetProps) {
  const box = useRef<HTMLDivElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    const find = (what: string) => box.current?.querySelector<HTMLElement>(what);
    (find("[data-first]") ?? find("input, .sk-sheet-body button") ?? box.current)?.focus();
    return () => before?.focus();
  }, []);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") onClose();
    else if (event.key === "Tab") keepInside(event, box.current!);
    else if (event.key === "Enter" && event.target instanceof HTMLInputElement) sendForm(event);
    else return;
    event.stopPropagation();
  };
  return (
    <div
      ref={box}
      className={`sk-sheet ${className}`}
      role="dialog"
      aria-modal="true"
      aria-labelledby={id}
      tabIndex={-1}
      onKeyDown={onKeyDown}
    >
      <div className="sk-sheet-head">
        <h2 id={id}>{label}</h2>
        <button
          type="button"
          className="sk-tool"
          aria-label="Close"
          title="Close (Esc)"
          onClick={onClose}
        >
          <Icon name="close" />
        </button>
      </div>
      <div className="sk-sheet-body">{children}</div>
    </div>
  );
}

/** As browsers do by themselves; but JupyterLab takes line breaks from the fields in a cell. */
function sendForm(event: KeyboardEvent): void {
  if (event.nativeEvent.isComposing) return; // it ends a word that is put together
  event.preventDefault();
  (event.target as HTMLInputElement).form?.requestSubmit();
}

function keepInside(event: KeyboardEvent, box: HTMLElement): void {
  const stops = [...box.querySelectorAll<HTMLElement>("button, input, select, [tabindex='0']")];
  const [first, last] = [stops[0], stops.at(-1)];
  const edge = event.shiftKey ? first : last;
  if (document.activeElement !== edge && document.activeElement !== box) return;
  event.preventDefault();
  (event.shiftKey ? last : first)?.focus();
}

const KEYS: [string, [keys: string, does: string][]][] = [
  [
    "Move",
    [
      ["← ↑ → ↓", "to the next step that way"],
      ["Shift + arrow", "and select it too"],
      ["Alt + arrow", "move the selected steps"],
      ["Enter", "open a sub-saga, or the options of a step"],
      ["I", "the options of a step"],
      ["Esc", "select nothing; back to the saga around"],
    ],
  ],
  [
    "Change",
    [
      ["F2", "rename"],
      ["Delete", "remove steps and connections"],
      ["Ctrl + C, X, V", "copy, cut, paste"],
      ["Ctrl + D", "duplicate"],
      ["Ctrl + A", "select every step"],
      ["Ctrl + Z, Y", "undo, redo"],
    ],
  ],
  [
    "Look",
    [
      ["Ctrl + F or /", "find a step"],
      ["+ − 0", "nearer, farther, everything"],
      ["Ctrl + wheel", "nearer, farther"],
      ["Ctrl + S", "save"],
      ["?", "this sheet"],
    ],
  ],
  [
    "Mouse",
    [
      ["drag from a step's edge", "what runs after it"],
      ["Shift + drag", "select all in a box"],
      ["Ctrl + click", "one more"],
      ["double click", "open a sub-saga"],
    ],
  ],
];

/** What each key does. */
export function KeyList({ keys }: { keys: [string, string][] }) {
  return (
    <dl>
      {keys.map(([key, does]) => (
        <div key={key}>
          <dt>
            <kbd>{key}</kbd>
          </dt>
          <dd>{does}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Help({ onClose }: { onClose(): void }) {
  return (
    <Sheet label="Keys" className="sk-help" onClose={onClose}>
      {/* the focus is here, so that arrow keys scroll */}
      <div className="sk-keys" data-first tabIndex={0} role="group" aria-label="Every key">
        {KEYS.map(([group, keys]) => (
          <section key={group}>
            <h3>{group}</h3>
            <KeyList keys={keys} />
          </section>
        ))}
      </div>
      <p className="sk-hint">
        To connect steps by keyboard, press Enter on one and tick what it “runs after”. Drawn with
        React Flow.
      </p>
    </Sheet>
  );
}

interface SearchProps {
  draft: Draft;
  onShow(name: string): void;
  onClose(): void;
}

export function Search({ draft, onShow, onClose }: SearchProps) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const id = useId();
  const steps = found(draft, text).slice(0, 8);
  const chosen = steps[Math.min(at, steps.length - 1)];
  const go = (name: string) => {
    onClose();
    onShow(name);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") setAt(Math.min(at + 1, steps.length - 1));
    else if (event.key === "ArrowUp") setAt(Math.max(at - 1, 0));
    else if (event.key === "Enter" && chosen) go(chosen.step);
    else if (event.key === "Escape") onClose();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div className="sk-search" role="search">
      <input
        autoFocus
        className="sk-input"
        role="combobox"
        aria-label="Find a step by name, service or action"
        aria-expanded={steps.length > 0}
        aria-controls={`${id}-list`}
        aria-activedescendant={chosen ? `${id}-${chosen.step}` : undefined}
        placeholder="Find a step, a service, an action"
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setAt(0);
        }}
        onKeyDown={onKeyDown}
        onBlur={onClose}
      />
      {text.trim() !== "" && (
        <ul id={`${id}-list`} role="listbox" aria-label="Steps found">
          {steps.map((step) => (
            <li
              key={step.step}
              id={`${id}-${step.step}`}
              role="option"
              aria-selected={step === chosen}
              // before the field loses the focus, which closes the list
              onPointerDown={() => go(step.step)}
            >
              <b>{step.step}</b>
              {typeof step.service === "string" && <span>{step.service}</span>}
            </li>
          ))}
          {steps.length === 0 && (
            <li className="sk-hint" role="option" aria-selected="false">
              No step has that
            </li>
          )}
        </ul>
      )}
    </div>
  );
}

interface FilesProps {
  does: "Save" | "Load";
  files: string[];
  given: string;
  onDo(path: string): void;
  onClose(): void;
}

export function Files({ does, files, given, onDo, onClose }: FilesProps) {
  const [path, setPath] = useState(given);
  const id = useId();
  const done = (wanted: string) => {
    onClose();
    onDo(wanted.trim());
  };
  return (
    <Sheet
      label={does === "Save" ? "Save the saga" : "Load a saga"}
      className="sk-files"
      onClose={onClose}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (path.trim()) done(path);
        }}
      >
        <label htmlFor={id}>File</label>
        <div className="sk-row">
          <input
            id={id}
            className="sk-input"
            value={path}
            onChange={(event) => setPath(event.target.value)}
          />
          <button type="submit" className="sk-button sk-primary" disabled={!path.trim()}>
            {does}
          </button>
        </div>
      </form>
      {files.length > 0 && (
        <ul className="sk-file-list" aria-label="Files there are">
          {files.map((file) => (
            <li key={file}>
              <button type="button" onClick={() => (does === "Load" ? done(file) : setPath(file))}>
                {file}
              </button>
            </li>
          ))}
        </ul>
      )}
      {does === "Load" && (
        <p className="sk-hint">What is drawn now is replaced; undo brings it back.</p>
      )}
    </Sheet>
  );
}
