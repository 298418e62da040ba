/** The axis of times: which ticks, and times in words. No React. */

const UNITS: [string, number][] = [
  ["µs", 1e-6],
  ["ms", 1e-3],
  ["s", 1],
  ["min", 60],
  ["h", 3600],
  ["d", 86400],
];
const BY_CLOCK: Record<string, number[]> = {
  min: [0.5, 1, 2, 5, 10, 15, 30, 60],
  h: [0.5, 1, 2, 3, 6, 12, 24],
  d: [0.5, 1, 2, 7, 14, 28, 91, 182],
};

export interface Tick {
  at: number; // seconds
  text: string;
}

/** Ticks from one time to another, at least `apart` seconds from each other, at nice numbers. */
export function ticksOf(from: number, to: number, apart: number, byOrder = false): Tick[] {
  const largest = Math.max(Math.abs(from), Math.abs(to));
  const [unit, size] = byOrder ? ["", 1] : unitOf(largest, 1.5);
  const step = stepOf(apart / size, unit, byOrder);
  const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
  const ticks: Tick[] = [];
  const last = Math.floor(to / size / step + 1e-9);
  for (let i = Math.ceil(Math.max(from, 0) / size / step - 1e-9); i <= last; i++) {
    const text = (i * step).toFixed(digits);
    ticks.push({
      at: i * step * size,
      text: `${unit === "min" || unit === "h" || unit === "d" ? Number(text) : text}${unit && ` ${unit}`}`,
    });
  }
  return ticks;
}

function unitOf(seconds: number, least: number): [string, number] {
  return UNITS.findLast(([, size]) => seconds >= least * size) ?? UNITS[0]!;
}

function stepOf(rough: number, unit: string, byOrder: boolean): number {
  const nice = BY_CLOCK[unit]?.find((step) => rough <= step);
  if (nice !== undefined) return nice;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((one) => rough <= one * power * (1 + 1e-9))!;
  return byOrder ? Math.max(1, step) : step;
}

/** How long in words, three digits and its unit: "1.5 s". */
export function durationWords(seconds: number): string {
  if (seconds === 0) return "0 s";
  const [unit, size] = unitOf(Math.abs(seconds), 0.9995);
  const value = seconds / size;
  if (Math.abs(value) >= 999.5) return `${Math.round(value).toLocaleString("en")} ${unit}`;
  return `${Number(value.toPrecision(3))} ${unit}`;
}

/** A moment, to the microsecond. */
export function momentWords(seconds: number): string {
  const [unit, size] = unitOf(Math.abs(seconds), 0.9995);
  return seconds === 0 ? "0 s" : `${Number((seconds / size).toFixed(size >= 1 ? 6 : 3))} ${unit}`;
}

/** Seconds of what is typed, "20 ms" or "1.5"; null: it is no duration. */
export function secondsOf(text: string): number | null {
  const found = /^\s*(\d+(?:[.,]\d+)?|[.,]\d+)\s*(µs|us|ms|s|min|h|d)?\s*$/i.exec(text);
  if (!found) return null;
  const unit = (found[2] ?? "s").toLowerCase().replace("us", "µs");
  return Number(found[1]!.replace(",", ".")) * UNITS.find(([name]) => name === unit)![1];
}
