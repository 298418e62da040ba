/** Faults in words, and what a choice in the menu puts into the scenario. No React. */
import type { CrashForm, FaultForm, Film, Menu, MenuEntry } from "../watching";

/** Which attempts are struck. */
export interface Reach {
  how: "always" | "attempt" | "first";
  count: number;
}

/** As a fault begins: of what is retried for ever, one for good might never end. */
export function firstReach(retried: boolean): Reach {
  return retried ? { how: "attempt", count: 1 } : { how: "always", count: 1 };
}

export function faultOf(entry: MenuEntry, step: string, reach: Reach, seconds: number): FaultForm {
  const fault: FaultForm = { fault: entry.kind, step };
  if (entry.side !== "action") fault.side = entry.side;
  // the first one only is the first attempt
  const how = reach.how === "first" && reach.count < 2 ? "attempt" : reach.how;
  if (how !== "always") fault[how] = reach.count;
  if (entry.seconds > 0) fault.seconds = seconds;
  return fault;
}

/** How a fault is called in the menu. */
export function nameOf(fault: FaultForm, { entries }: Menu): string {
  const side = fault.side ?? "action";
  const entry = entries.find((one) => one.kind === fault.fault && one.side === side);
  return entry?.label ?? (side === "action" ? fault.fault : `${fault.fault} of the compensation`);
}

/** When, and for how long, it strikes. */
export function reachOf({ attempt, first, seconds }: FaultForm): string {
  const when = attempt
    ? `attempt ${attempt}`
    : first
      ? `the first ${first} attempts`
      : "every attempt";
  return seconds ? `${when}, by ${seconds} s` : when;
}

/** Where a crash strikes: at which step of which event, as the film has it. */
export function placeOf(film: Film, number: number, crash: CrashForm): string {
  const hit = film.struck.find(([, what, which]) => what === "crash" && which === number);
  const after = crash.written ? "after" : "before";
  if (!hit) return `${after} event ${crash.crash} is written${crash.to ? ` of ${crash.to}` : ""}`;
  const [event] = hit;
  const step = film.events.step[event]!;
  const what = film.words[film.events.what[event]!]!;
  return `${after} “${what}” is written${step < 0 ? "" : `: ${film.paths[step]}`}`;
}
