/** The legend, as every widget can show it. */
import { Sheet } from "../sheets";
import type { Legend, Look } from "../watching";
import { paint } from "./look";

export function LegendSheet({ legend, onClose }: { legend: Legend; onClose(): void }) {
  return (
    <Sheet label="Legend" className="sk-legend-sheet" onClose={onClose}>
      <LegendList legend={legend} />
    </Sheet>
  );
}

const GROUPS: [keyof Legend, string][] = [
  ["kinds", "Steps: the shape"],
  ["states", "States: the colour"],
  ["statuses", "The whole execution"],
  ["marks", "Marks"],
  ["segments", "Timeline: besides the states"],
  ["contrasts", "Two executions"],
];

/** All that is drawn, and what it means. */
function LegendList({ legend }: { legend: Legend }) {
  return (
    // it is longer than the sheet, so the keyboard must reach it
    <div className="sk-legend" role="group" aria-label="Looks" tabIndex={0} data-first>
      {GROUPS.map(([group, title]) => (
        <section key={group}>
          <h3>{title}</h3>
          <ul>
            {Object.entries(legend[group] as Record<string, Look>).map(([name, look]) => (
              <li key={name}>
                <span
                  className={`sk-sample sk-seen${look.shape ? ` sk-shape-${look.shape}` : ""}`}
                  {...paint(look)}
                  aria-hidden="true"
                >
                  {look.glyph}
                </span>
                <span>
                  {name}
                  {look.meaning && <span className="sk-hint">: {look.meaning}</span>}
                </span>
              </li>
            ))}
          </ul>
        </section>
      ))}
      <section>
        <h3>Timeline: the line</h3>
        <ul>
          <li>
            <span className="sk-sample sk-heavy" aria-hidden="true" />
            <span>
              critical path<span className="sk-hint">: it decided when the execution ended</span>
            </span>
          </li>
        </ul>
      </section>
    </div>
  );
}
