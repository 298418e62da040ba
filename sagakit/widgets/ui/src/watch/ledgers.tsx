/** What the services hold at the event that is shown; what it changed is marked. */
import { memo, useMemo } from "react";
import type { Film } from "../watching";
import type { Frame } from "./frames";

export const Ledgers = memo(function Ledgers({ film, frame }: { film: Film; frame: Frame }) {
  const services = useMemo(() => {
    const found = new Map<string, number[]>();
    film.ledgers.rows.forEach(([service], row) =>
      found.set(service, [...(found.get(service) ?? []), row]),
    );
    return [...found];
  }, [film]);
  return (
    <div className="sk-ledgers" role="region" aria-label="Ledgers" tabIndex={0}>
      {services.map(([service, rows]) => (
        <table key={service}>
          <caption>{service}</caption>
          <tbody>
            {rows
              .filter((row) => frame.values[row] !== null || frame.before.has(row))
              .map((row) => (
                <Line
                  key={row}
                  name={film.ledgers.rows[row]![1]}
                  value={frame.values[row]!}
                  before={frame.before.get(row)}
                />
              ))}
          </tbody>
        </table>
      ))}
    </div>
  );
});

interface LineProps {
  name: string;
  value: string | number | null;
  before: string | number | null | undefined; // undefined: it has not changed
}

const Line = memo(function Line({ name, value, before }: LineProps) {
  const hasChanged = before !== undefined && before !== null;
  return (
    <tr className={hasChanged ? "sk-changed" : undefined}>
      <th scope="row">{name}</th>
      <td>
        {hasChanged && (
          <>
            <span className="sk-was">{shown(before)}</span>
            <span aria-hidden="true"> → </span>
          </>
        )}
        <span className="sk-is">{shown(value)}</span>
      </td>
    </tr>
  );
});

function shown(value: string | number | null): string {
  return value === null ? "gone" : typeof value === "number" ? value.toLocaleString("en") : value;
}
