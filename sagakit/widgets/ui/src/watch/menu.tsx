/** What can go wrong at a step: one click puts it into the scenario. */
import { useId, useState } from "react";
import { Sheet } from "../sheets";
import type { CrashForm, FaultForm, GraphNode, Legend, Menu, MenuEntry } from "../watching";
import { faultOf, firstReach, type Reach } from "./faults";
import { paint } from "./look";

interface Props {
  node: GraphNode;
  number: number;
  menu: Menu;
  legend: Legend;
  onFault(fault: FaultForm): void;
  onCrash(crash: CrashForm): void;
  onClose(): void;
}

export function FaultMenu({ node, number, menu, legend, onFault, onCrash, onClose }: Props) {
  const [reach, setReach] = useState(() => firstReach(node.retried));
  const entries = (menu.fits[number] ?? []).map((one) => menu.entries[one]!);
  const crashes = menu.crashes[number] ?? [];
  const groups: [string, MenuEntry[]][] = [
    [`${node.name} itself`, entries.filter(({ side }) => side === "action")],
    [
      `its compensation, ${node.compensation}`,
      entries.filter(({ side }) => side === "compensation"),
    ],
  ];
  return (
    <Sheet label={`What goes wrong at ${node.path}?`} className="sk-fault-menu" onClose={onClose}>
      {entries.length > 0 && <ReachField reach={reach} onChange={setReach} />}
      {groups
        .filter(([, found]) => found.length > 0)
        .map(([title, found]) => (
          <section key={title}>
            <h3>{title}</h3>
            <div className="sk-entries">
              {found.map((entry) => (
                <Entry
                  key={entry.kind + entry.side}
                  entry={entry}
                  legend={legend}
                  onPick={(seconds) => onFault(faultOf(entry, node.path, reach, seconds))}
                />
              ))}
            </div>
          </section>
        ))}
      {crashes.length > 0 && (
        <section>
          <h3>the process that runs it</h3>
          <div className="sk-entries">
            {crashes.map(({ label, crash }) => (
              <button
                key={JSON.stringify(crash)}
                type="button"
                className="sk-entry"
                onClick={() => onCrash(crash)}
              >
                <span className="sk-mark sk-seen" {...paint(legend.marks.crash)} aria-hidden="true">
                  {legend.marks.crash?.glyph}
                </span>
                <span>{label}</span>
              </button>
            ))}
          </div>
        </section>
      )}
      {entries.length + crashes.length === 0 && <p>Nothing can be made to go wrong here.</p>}
    </Sheet>
  );
}

function Entry({
  entry,
  legend,
  onPick,
}: {
  entry: MenuEntry;
  legend: Legend;
  onPick(seconds: number): void;
}) {
  const [seconds, setSeconds] = useState(entry.seconds);
  const hint = useId();
  const glyph = legend.marks.fault?.glyph;
  return (
    <div className="sk-entry-row">
      <button
        type="button"
        className="sk-entry"
        aria-describedby={hint}
        onClick={() => onPick(seconds)}
      >
        <span className="sk-mark sk-seen" {...paint(legend.marks.fault)} aria-hidden="true">
          {glyph}
        </span>
        <span>{entry.label}</span>
        <span className="sk-hint" id={hint}>
          {entry.meaning}
        </span>
      </button>
      {entry.seconds > 0 && (
        <label className="sk-seconds">
          by
          <input
            className="sk-input"
            type="number"
            min={0.001}
            step="any"
            value={seconds}
            aria-label={`Seconds of “${entry.label}”`}
            onChange={(event) => setSeconds(Number(event.target.value))}
          />
          s
        </label>
      )}
    </div>
  );
}

const REACHES: [Reach["how"], string][] = [
  ["always", "Every attempt, for good"],
  ["attempt", "Only attempt"],
  ["first", "The first attempts, as many as"],
];

function ReachField({ reach, onChange }: { reach: Reach; onChange(reach: Reach): void }) {
  return (
    <div className="sk-reach">
      <label>
        Strikes
        <select
          className="sk-input"
          value={reach.how}
          onChange={(event) => onChange({ ...reach, how: event.target.value as Reach["how"] })}
        >
          {REACHES.map(([how, words]) => (
            <option key={how} value={how}>
              {words}
            </option>
          ))}
        </select>
      </label>
      {reach.how !== "always" && (
        <input
          className="sk-input"
          type="number"
          min={1}
          step={1}
          value={reach.count}
          aria-label={reach.how === "attempt" ? "Number of the attempt" : "How many attempts"}
          onChange={(event) =>
            onChange({ ...reach, count: Math.max(1, Math.round(Number(event.target.value))) })
          }
        />
      )}
    </div>
  );
}
