/** Everything that is wrong or could be better, worst first; each leads to where it is. */
import type { PanelProps, Problem } from "../protocol";
import { Prose } from "./controls";
import { LEVELS, placeName, tally } from "./problems";

export function ProblemsTab({ state, whole, reveal }: PanelProps) {
  const { problems } = state;
  return (
    <section className="sk-panel" aria-label="Problems">
      <p role="status" className={problems.length ? "sk-muted" : "sk-good"}>
        {problems.length ? `${tally(problems)}.` : <GoodNews />}
      </p>
      {LEVELS.map(({ level, several }) => {
        const found = problems.filter((one) => one.level === level);
        if (found.length === 0) return null;
        const title = several.charAt(0).toUpperCase() + several.slice(1);
        return (
          <section key={level} aria-label={title}>
            <h3>
              {title} <span className="sk-count">{found.length}</span>
            </h3>
            <ul className="sk-problems">
              {found.map((one, at) => (
                <ProblemEntry
                  key={at}
                  problem={one}
                  whole={whole}
                  onOpen={() => reveal(one.path)}
                />
              ))}
            </ul>
          </section>
        );
      })}
    </section>
  );
}

function GoodNews() {
  return (
    <>
      <span className="sk-level-icon" aria-hidden="true">
        ✓
      </span>{" "}
      Nothing is wrong: the saga can run, and no rule has anything to say about it.
    </>
  );
}

function ProblemEntry(props: { problem: Problem; whole: unknown; onOpen: () => void }) {
  const { level, text, cure, rule, path, line } = props.problem;
  const shown = LEVELS.find((one) => one.level === level)!;
  return (
    <li>
      <button type="button" className={`sk-problem sk-level-${level}`} onClick={props.onOpen}>
        <span className="sk-level-icon" role="img" aria-label={shown.one}>
          {shown.icon}
        </span>
        <span className="sk-problem-body">
          <span className="sk-problem-text">
            <Prose text={text} />
          </span>
          {cure && (
            <span className="sk-problem-cure">
              <Prose text={cure} />
            </span>
          )}
          <span className="sk-muted">
            {placeName(path, props.whole)}
            {line !== undefined && `, line ${line}`}
            {rule && ` · ${rule}`}
          </span>
        </span>
      </button>
    </li>
  );
}
