/** Which spans are shown: by name, by how they ended, by how long they took. */
import { memo, useEffect, useState } from "react";
import { Icon } from "../icons";
import { paint } from "../watch/look";
import type { Legend } from "../watching";
import { EVERYTHING, type Filter } from "./rows";
import { secondsOf } from "./ticks";
import { lookOf } from "./words";

interface Props {
  filter: Filter;
  outcomes: [outcome: string, count: number][];
  legend: Legend;
  count: number; // spans that fit
  onFilter(filter: Filter): void;
  onNext(): void;
}

export const Filters = memo(function Filters(props: Props) {
  const { filter, outcomes, legend, count, onFilter, onNext } = props;
  const isSet = filter !== EVERYTHING;
  const toggle = (outcome: string) => {
    const had = filter.outcomes.includes(outcome);
    const rest = filter.outcomes.filter((one) => one !== outcome);
    onFilter({ ...filter, outcomes: had ? rest : [...rest, outcome] });
  };
  return (
    <div className="sk-filters" role="search" aria-label="Which spans are shown">
      <input
        className="sk-input sk-find"
        type="search"
        aria-label="Find spans by name or service"
        placeholder="Name or service"
        title="Enter: the next one"
        onKeyDown={(event) => event.key === "Enter" && onNext()}
        value={filter.words}
        onChange={(event) => onFilter({ ...filter, words: event.target.value })}
      />
      <span className="sk-ends" role="group" aria-label="How they ended">
        {outcomes.map(([outcome, count]) => {
          const look = lookOf(legend, outcome);
          return (
            <button
              key={outcome}
              type="button"
              className="sk-end sk-seen"
              {...paint(look)}
              aria-pressed={filter.outcomes.includes(outcome)}
              onClick={() => toggle(outcome)}
            >
              <span aria-hidden="true">{look?.glyph}</span> {outcome}{" "}
              <span className="sk-times">{count.toLocaleString("en")}</span>
            </button>
          );
        })}
      </span>
      <Took
        label="Took at least"
        sign="≥"
        isSet={isSet}
        onTook={(least) => onFilter({ ...filter, least: least ?? 0 })}
      />
      <Took
        label="Took at most"
        sign="≤"
        isSet={isSet}
        onTook={(most) => onFilter({ ...filter, most: most ?? Infinity })}
      />
      <button
        type="button"
        className="sk-choice"
        aria-pressed={filter.critical}
        title="Only what decided when it ended"
        onClick={() => onFilter({ ...filter, critical: !filter.critical })}
      >
        Critical path
      </button>
      {isSet && (
        <button
          type="button"
          className="sk-tool"
          aria-label="Show every span"
          title="Show every span"
          onClick={() => onFilter(EVERYTHING)}
        >
          <Icon name="close" />
        </button>
      )}
      <span className="sk-hint" role="status">
        {isSet && `${count.toLocaleString("en")} ${count === 1 ? "span" : "spans"}`}
      </span>
    </div>
  );
});

interface TookProps {
  label: string;
  sign: string;
  isSet: boolean; // else there is no filter at all
  onTook(seconds: number | null): void;
}

/** A duration with its unit; what is none is marked, and does not count. */
function Took({ label, sign, isSet, onTook }: TookProps) {
  const [text, setText] = useState("");
  useEffect(() => {
    if (!isSet) setText("");
  }, [isSet]);
  const isWrong = text.trim() !== "" && secondsOf(text) === null;
  return (
    <label className="sk-took">
      <span className="sk-hidden">{label}</span>
      <span aria-hidden="true">{sign}</span>
      <input
        className="sk-input"
        value={text}
        placeholder="10 ms"
        aria-invalid={isWrong || undefined}
        title={isWrong ? "a number and a unit: 10 ms, 1.5 s" : label}
        onChange={(event) => {
          setText(event.target.value);
          onTook(secondsOf(event.target.value));
        }}
      />
    </label>
  );
}
