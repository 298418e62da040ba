/** All that is known of the span that is selected: attributes, its log, what it is linked to. */
import { memo, type ReactNode } from "react";
import { Tag } from "../watch/look";
import type { Legend, SpanDetails } from "../watching";
import type { Json } from "../protocol";
import { nearest } from "./bars";
import type { Chosen } from "./source";
import { textOf, tookOf, type Table } from "./table";
import { durationWords, momentWords } from "./ticks";
import { beginWords, lookOf, tookWords } from "./words";

interface Props {
  tables: Table[];
  titles: string[];
  chosen: Chosen;
  details: SpanDetails | null; // null: they are under way, or the kernel is gone
  connected: boolean;
  legend: Legend;
  onGo(run: number, span: number): void;
}

export const Details = memo(function Details(props: Props) {
  const { tables, titles, chosen, details, connected, legend, onGo } = props;
  const { run, span } = chosen;
  const table = tables[run]!;
  const outcome = textOf(table, "outcome", span);
  const parent = table.parent[span]!;
  const service = textOf(table, "service", span);
  const beside = besideOf(tables, chosen);
  const go = (to: number, where = run) => (
    <button type="button" className="sk-to" onClick={() => onGo(where, to)}>
      {textOf(tables[where]!, "name", to)}
    </button>
  );
  return (
    <section className="sk-span" aria-label="Details of the span" tabIndex={0}>
      <h3>
        {titles.length > 1 && <span className="sk-hint">{titles[run]} </span>}
        {textOf(table, "name", span)}
      </h3>
      <p>
        <Tag look={lookOf(legend, outcome)} text={outcome} />{" "}
        {table.critical[span] === 1 && <span className="sk-is-critical">critical path</span>}
      </p>
      {details?.message && <p className="sk-error">{details.message}</p>}
      <dl className="sk-facts">
        <Fact name="took">{tookWords(table, span)}</Fact>
        <Fact name="began at">{beginWords(table, span)}</Fact>
        {service && <Fact name="service">{service}</Fact>}
        {parent >= 0 && <Fact name="inside">{go(parent)}</Fact>}
        {beside && (
          <Fact name={`in ${titles[beside.run]}`}>
            {go(beside.span, beside.run)}{" "}
            <span className="sk-hint">{changeWords(tables, chosen, beside)}</span>
          </Fact>
        )}
        {details && details.kind && <Fact name="kind">{details.kind}</Fact>}
      </dl>
      {!details && connected && <p className="sk-hint sk-to-come">Attributes and log come …</p>}
      {!details && !connected && (
        <p className="sk-hint">Attributes and log are in the kernel: run the cell again.</p>
      )}
      {details && <Attributes title="Attributes" attributes={details.attributes} />}
      {details && details.events.length > 0 && (
        <>
          <h4>Log</h4>
          <ol className="sk-span-log">
            {details.events.map((event, i) => (
              <li key={i}>
                <span className="sk-time">{momentWords(event.at)}</span> <b>{event.name}</b>
                <Attributes attributes={event.attributes} />
              </li>
            ))}
          </ol>
        </>
      )}
      {details && details.links.length > 0 && (
        <>
          <h4>Linked to</h4>
          <ul className="sk-span-log">
            {details.links.map((link, i) => (
              <li key={i}>
                {link.span >= 0 ? go(link.span) : "a span of another trace"}
                <Attributes attributes={link.attributes} />
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
});

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Attributes({ title, attributes }: { title?: string; attributes: Record<string, Json> }) {
  const all = Object.entries(attributes);
  if (all.length === 0) return null;
  return (
    <>
      {title && <h4>{title}</h4>}
      <dl className="sk-facts sk-attributes">
        {all.map(([name, value]) => (
          <Fact key={name} name={name}>
            {typeof value === "string" ? value : JSON.stringify(value)}
          </Fact>
        ))}
      </dl>
    </>
  );
}

/** The span of the other trace that stands at the same place; of several in a lane the same one. */
function besideOf(tables: Table[], { run, span }: Chosen): Chosen | null {
  const [table, other] = [tables[run]!, tables[1 - run]];
  const lane = table.lane[span]!;
  const twin = other ? table.twin[lane]! : -1;
  if (!other || twin < 0) return null;
  const same = other.first[twin]! + (span - table.first[lane]!);
  if (same < other.first[twin + 1]!) return { run: 1 - run, span: same };
  return { run: 1 - run, span: nearest(other, twin, table.start[span]!) };
}

function changeWords(tables: Table[], one: Chosen, other: Chosen): string {
  const [own, their] = [one, other].map(({ run, span }) => tookOf(tables[run]!, span));
  return own === their ? "as long" : `took ${durationWords(their!)}`;
}
