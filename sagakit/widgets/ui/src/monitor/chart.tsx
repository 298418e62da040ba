/** What ended in each of the last seconds, as bars. */
import { memo, useMemo } from "react";
import { paint, Tag } from "../watch/look";
import type { Legend, MonitorState } from "../watching";
import { bars, ceiling, chartWords, grouped, rate, totals, type Bar } from "./numbers";

interface Props {
  at: number;
  series: MonitorState["series"];
  throughput: number;
  window: number;
  legend: Legend;
}

export const Chart = memo(function Chart({ at, series, throughput, window, legend }: Props) {
  const drawn = useMemo(() => bars({ series, at }), [series, at]);
  const top = ceiling(Math.max(1, ...drawn.map(({ total }) => total)));
  return (
    <section className="sk-rate" aria-label="Throughput">
      <div className="sk-rate-now">
        <h3>Throughput</h3>
        <p>
          <b className="sk-big">{rate(throughput)}</b> <span>a second</span>
        </p>
        <p className="sk-hint">over the last {window} s</p>
      </div>
      <div className="sk-chart">
        <span className="sk-scale" aria-hidden="true">
          <span>{grouped(top)}</span>
          <span>0</span>
        </span>
        <div className="sk-bars" role="img" aria-label={chartWords(drawn, series)}>
          {drawn.map((bar) => (
            <Column key={bar.second} bar={bar} top={top} legend={legend} />
          ))}
        </div>
        <span className="sk-scale-below" aria-hidden="true">
          <span>{drawn.length} s ago</span>
          <span>{clock(at)}</span>
        </span>
      </div>
      <ul className="sk-outcomes" aria-label={`Outcomes in the last ${drawn.length} seconds`}>
        {totals(series).map(([outcome, count]) => (
          <li key={outcome}>
            <b>{grouped(count)}</b>
            <Tag look={legend.statuses[outcome]} text={outcome} />
          </li>
        ))}
      </ul>
    </section>
  );
});

const Column = memo(
  function Column({ bar, top, legend }: { bar: Bar; top: number; legend: Legend }) {
    const each = bar.parts.map(([outcome, count]) => `${grouped(count)} ${outcome}`).join(", ");
    return (
      <span className="sk-second" title={each && `${clock(bar.second)}: ${each}`}>
        {bar.parts.map(([outcome, count]) => {
          const { style, ...hatch } = paint(legend.statuses[outcome]);
          const height = `${(count / top) * 100}%`;
          return (
            <i
              key={outcome}
              className="sk-ended sk-seen"
              data-outcome={outcome}
              data-count={count}
              {...hatch}
              style={{ ...style, height }}
            />
          );
        })}
      </span>
    );
  },
  (was, is) =>
    was.top === is.top &&
    was.legend === is.legend &&
    was.bar.total === is.bar.total &&
    String(was.bar.parts) === String(is.bar.parts),
);

function clock(second: number): string {
  return new Date(second * 1000).toLocaleTimeString([], { hour12: false });
}
