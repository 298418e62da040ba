/** Numbers and times as the monitor says them. No React. */
import type { MonitorState } from "../watching";

const UNITS: [string, number][] = [
  ["d", 86400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
];

/** How long, in its two greatest units: "2 h 5 min"; clocks that differ make it no less than 0. */
export function lasted(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const first = UNITS.findIndex(([, size]) => whole >= size);
  if (first < 0) return "0 s";
  const [unit, size] = UNITS[first]!;
  const [next, small] = UNITS[first + 1] ?? ["", Infinity];
  const rest = Math.floor((whole % size) / small);
  return `${Math.floor(whole / size)} ${unit}${rest > 0 ? ` ${rest} ${next}` : ""}`;
}

export function grouped(count: number): string {
  return count.toLocaleString("en-US");
}

/** So many a second: with a decimal as long as that says something. */
export function rate(perSecond: number): string {
  return perSecond < 10 ? perSecond.toFixed(1) : grouped(Math.round(perSecond));
}

/** The least of 1, 2, 5, 10, 20, 50, … that is not less: where the chart ends. */
export function ceiling(most: number): number {
  for (let ten = 1; ; ten *= 10) {
    const found = [1, 2, 5].find((one) => one * ten >= most);
    if (found !== undefined) return found * ten;
  }
}

/** What ended in one second. */
export interface Bar {
  second: number; // since the epoch
  parts: [outcome: string, count: number][]; // none of 0
  total: number;
}

export function bars({ series, at }: Pick<MonitorState, "series" | "at">): Bar[] {
  const outcomes = Object.keys(series);
  const length = Math.max(0, ...outcomes.map((outcome) => series[outcome]!.length));
  return Array.from({ length }, (_, i) => {
    const all = outcomes.map((outcome): [string, number] => [outcome, series[outcome]![i] ?? 0]);
    const parts = all.filter(([, count]) => count > 0);
    const total = parts.reduce((sum, [, count]) => sum + count, 0);
    return { second: Math.floor(at) - length + i, parts, total };
  });
}

/** How many of each outcome there were in all of the series. */
export function totals(series: MonitorState["series"]): [string, number][] {
  return Object.entries(series).map(([outcome, counts]) => [
    outcome,
    counts.reduce((sum, count) => sum + count, 0),
  ]);
}

/** The chart in words, for those who do not see it. */
export function chartWords(drawn: Bar[], series: MonitorState["series"]): string {
  const start = `Outcomes in each of the last ${drawn.length} seconds`;
  const found = totals(series).filter(([, count]) => count > 0);
  if (found.length === 0) return `${start}: none`;
  const each = found.map(([outcome, count]) => `${grouped(count)} ${outcome}`).join(", ");
  const most = Math.max(...drawn.map(({ total }) => total));
  return `${start}: ${each}; at most ${grouped(most)} in a second, ${grouped(drawn.at(-1)!.total)} in the last`;
}
