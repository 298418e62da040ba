/** Spans in words. No React. */
import type { Legend, Look } from "../watching";
import type { Bar } from "./bars";
import { textOf, tookOf, type Table } from "./table";
import { durationWords, momentWords } from "./ticks";

export function lookOf(legend: Legend, outcome: string): Look | undefined {
  return legend.states[outcome] ?? legend.statuses[outcome] ?? legend.segments[outcome];
}

/** Of what runs still no more is known than that it had not ended by the last time in the trace. */
export function tookWords(table: Table, span: number): string {
  const words = durationWords(tookOf(table, span));
  const end = table.end[span]!;
  if (Number.isNaN(end)) return `at least ${words}`;
  const early = table.byOrder ? 0 : table.start[span]! - end; // its clock was set back
  return early > 0 ? `ended ${durationWords(early)} before it began` : words;
}

export function beginWords(table: Table, span: number): string {
  // in order, every span begins where all of them do
  return momentWords(table.byOrder ? 0 : table.start[span]!);
}

/** A span in one line. */
export function spanWords(table: Table, span: number): string {
  const parts = [
    textOf(table, "name", span),
    textOf(table, "outcome", span),
    tookWords(table, span),
    `at ${beginWords(table, span)}`,
    textOf(table, "service", span),
    table.critical[span] === 1 ? "on the critical path" : "",
  ];
  return parts.filter(Boolean).join(", ");
}

/** A bar in one line: of several spans how many, and how they ended. */
export function barWords(table: Table, { span, first, count }: Bar): string {
  if (count === 1) return spanWords(table, span);
  const ends = new Map<string, number>();
  for (let one = first; one < first + count; one++) {
    const outcome = textOf(table, "outcome", one);
    ends.set(outcome, (ends.get(outcome) ?? 0) + 1);
  }
  const said = [...ends].map(([outcome, times]) => `${times}× ${outcome}`).join(", ");
  return `${count} spans: ${said}; zoom in to see each`;
}
