/** The saga as text. What is typed is sent at every pause, and never overwritten by an answer. */
import { useEffect, useId, useRef, useState, type Ref } from "react";
import type { PanelProps, Problem } from "../protocol";
import { Prose } from "./controls";
import { CopyButton, download } from "./CopyButton";
import { levelOf, LEVELS, tally } from "./problems";
import { indented } from "./indent";

const PAUSE = 400; // ms without a key after which the text is sent
const LINE = 20; // px, as in panels.css

export function YamlTab(props: PanelProps) {
  const { state } = props;
  const { text, change, leave } = useText(props);
  const area = useRef<HTMLTextAreaElement>(null);
  const gutter = useRef<HTMLDivElement>(null);
  const id = useId();
  const marked = state.problems.filter((one) => one.line !== undefined);
  const file = `${state.draft?.saga ?? "saga"}.yaml`;
  return (
    <section className="sk-panel sk-fill" aria-label="YAML">
      <div className="sk-bar">
        <CopyButton text={text} what="the YAML text" />
        <button type="button" className="sk-button" onClick={() => download(text, file)}>
          Download
        </button>
        <span className="sk-muted" id={`${id}-hint`}>
          Tab leaves the text; Ctrl+] indents a line, Ctrl+[ moves it back.
        </span>
      </div>
      <div className="sk-editor">
        <Gutter ref={gutter} text={text} problems={marked} />
        <textarea
          ref={area}
          className="sk-code"
          aria-label="The saga as YAML"
          aria-describedby={`${id}-hint ${id}-problems`}
          aria-invalid={state.problems.some((one) => one.level === "error") || undefined}
          value={text}
          onChange={(event) => change(event.target.value)}
          onBlur={leave}
          onScroll={(event) => (gutter.current!.scrollTop = event.currentTarget.scrollTop)}
          onKeyDown={(event) => indented(event) && event.preventDefault()}
          spellCheck={false}
          autoCapitalize="off"
          wrap="off"
        />
      </div>
      <Found
        id={`${id}-problems`}
        problems={state.problems}
        onOpen={(line) => show(area.current, line)}
      />
    </section>
  );
}

/** The text that is shown: the kernel's, or what is being typed. */
function useText({ state, editText }: PanelProps) {
  const [typed, setTyped] = useState<string | null>(null);
  const unsent = useRef<string | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const focused = useRef(false);
  const awaited = useRef<number | null>(null); // the answer that stood when the text was sent

  function send() {
    clearTimeout(timer.current);
    if (unsent.current === null) return;
    awaited.current = state.seq;
    editText(unsent.current);
    unsent.current = null;
  }
  const last = useRef(send);
  last.current = send;
  useEffect(() => () => last.current(), []); // another tab was opened: what was typed counts

  // the answer is in, and nobody types: from here on the kernel's text is shown again
  useEffect(() => {
    if (awaited.current === state.seq) return;
    awaited.current = null;
    if (!focused.current && unsent.current === null) setTyped(null);
  }, [state]);

  return {
    text: typed ?? state.text,
    change(text: string) {
      focused.current = true;
      unsent.current = text;
      setTyped(text);
      clearTimeout(timer.current);
      timer.current = setTimeout(() => last.current(), PAUSE);
    },
    leave() {
      focused.current = false;
      send();
      if (awaited.current === null) setTyped(null);
    },
  };
}

/** The numbers of the lines, with a mark where a problem is. It scrolls with the text. */
function Gutter(props: { ref: Ref<HTMLDivElement>; text: string; problems: Problem[] }) {
  const { ref, text, problems } = props;
  const count = text.split("\n").length;
  return (
    <div className="sk-gutter" ref={ref} aria-hidden="true">
      <pre className="sk-code">{Array.from({ length: count }, (_, at) => at + 1).join("\n")}</pre>
      {problems.map((one, at) => (
        <span
          key={at}
          className={`sk-level-icon sk-level-${one.level}`}
          title={one.text}
          style={{ top: (one.line! - 1) * LINE }}
        >
          {levelOf(one.level).icon}
        </span>
      ))}
      <span className="sk-gutter-end" />
    </div>
  );
}

/** The problems under the text, worst first; one that has a line leads to it. */
function Found(props: { id: string; problems: Problem[]; onOpen: (line: number) => void }) {
  const { problems } = props;
  const sorted = LEVELS.flatMap(({ level }) => problems.filter((one) => one.level === level));
  return (
    <div className="sk-found" id={props.id}>
      <p className="sk-hidden" role="status">
        {tally(problems) || "No problems"}
      </p>
      <ul className="sk-field-problems">
        {sorted.map((one, at) => (
          <li key={at} className={`sk-level-${one.level}`}>
            <span className="sk-level-icon" role="img" aria-label={levelOf(one.level).one}>
              {levelOf(one.level).icon}
            </span>
            <span>
              {one.line !== undefined && (
                <button type="button" className="sk-link" onClick={() => props.onOpen(one.line!)}>
                  Line {one.line}
                </button>
              )}{" "}
              <Prose text={one.text} />
              {one.cure && (
                <span className="sk-cure">
                  <Prose text={one.cure} />
                </span>
              )}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function show(area: HTMLTextAreaElement | null, line: number): void {
  if (!area) return;
  const before = area.value.split("\n").slice(0, line - 1);
  const at = before.reduce((sum, one) => sum + one.length + 1, 0);
  area.focus();
  area.setSelectionRange(at, at);
  area.scrollTop = Math.max(0, (line - 4) * LINE);
}
