/** The order in which the options of a step are shown. An option that is not here is in "More". */
import type { Option } from "./schema";

interface Section {
  title: string;
  open: boolean; // from the beginning
  keys: string[];
}

const SECTIONS: Section[] = [
  { title: "What it does", open: true, keys: ["description", "service", "input", "read"] },
  { title: "Order", open: true, keys: ["after", "branch", "when", "pivot"] },
  {
    title: "Undoing it",
    open: false,
    keys: ["compensation", "compensation_retry", "compensation_timeout"],
  },
  { title: "Trying again", open: false, keys: ["retry", "timeout", "reconcile", "idempotent"] },
];

/** What a step is: it has one of these, or none and then the action of its own name. */
export const DOES = ["action", "wait", "choice", "saga", "for_each"];

/** What means something only beside another option; it is shown when that one is there. */
export const BESIDE: Record<string, string> = { input: "saga" };

/** What has a place among other steps only: a step for each item stands alone. */
export const ORDER = ["after", "branch", "pivot"];

/** The sections with their options; the last one has those that no table knows. */
export function sections(options: Option[], hidden: string[]): (Section & { options: Option[] })[] {
  const shown = options.filter(({ key }) => !hidden.includes(key));
  const known = new Set(SECTIONS.flatMap(({ keys }) => keys));
  const more = shown.map(({ key }) => key).filter((key) => !known.has(key));
  return [...SECTIONS, { title: "More", open: false, keys: more }]
    .map((section) => ({
      ...section,
      options: section.keys.flatMap((key) => shown.find((one) => one.key === key) ?? []),
    }))
    .filter((section) => section.options.length > 0);
}
