/**
 * Where a saga stands in the outermost one, as a path: `[]`; the saga in a step, `[…, "saga"]`; or
 * what a "for each" does, `[…, "for_each"]`, which is shown as a saga of one step.
 */
import type { Draft, Path, StepDraft } from "./protocol";

function get(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (inner, key) => (inner as Record<string | number, unknown> | null | undefined)?.[key],
    value,
  );
}

function put(value: unknown, path: Path, leaf: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return leaf;
  if (Array.isArray(value)) {
    return value.map((item, i) => (i === key ? put(item, rest, leaf) : item));
  }
  const mapping = value as Record<string, unknown>;
  return { ...mapping, [key]: put(mapping[key], rest, leaf) };
}

const isForEach = (at: Path) => at[at.length - 1] === "for_each";

/** The saga at a place, or null when there is none. */
export function sagaAt(whole: Draft, at: Path): Draft | null {
  const value = get(whole, at) as (Draft & { step?: StepDraft }) | null | undefined;
  if (value && isForEach(at)) return value.step ? asSaga(value.step) : null;
  return value && Array.isArray(value.steps) ? value : null;
}

/** What is done for each item has no `after` of its own in the YAML form, but has one on the page. */
function asSaga(step: StepDraft): Draft {
  return { saga: step.step, steps: [step.after ? step : { ...step, after: [] }] };
}

/** The outermost saga with another one at this place. */
export function withSagaAt(whole: Draft, at: Path, inner: Draft): Draft {
  if (!isForEach(at)) return put(whole, at, inner) as Draft;
  const { after, ...step } = inner.steps[0]!;
  const had = (get(whole, [...at, "step"]) as StepDraft).after !== undefined;
  return put(whole, [...at, "step"], had ? { ...step, after } : step) as Draft;
}

/** The path of a step of the saga at a place. */
export function pathOf(at: Path, index: number): Path {
  return isForEach(at) ? [...at, "step"] : [...at, "steps", index];
}

/** The steps that a place is inside of, the outermost first, and where each is opened. */
export function trail(whole: Draft, at: Path): { name: string; at: Path }[] {
  return at.flatMap((_, i) => {
    const next = at[i + 1];
    if (next !== "saga" && next !== "for_each") return [];
    const step = get(whole, at.slice(0, i + 1)) as StepDraft | undefined;
    return step ? [{ name: step.step, at: at.slice(0, i + 2) }] : [];
  });
}

/** What a step is called in `kinds` and `positions`: "payment/authorize". */
export function keyOf(whole: Draft, at: Path, step: string): string {
  return [...trail(whole, at).map(({ name }) => name), step].join("/");
}

/** What a path from the outermost saga leads to: the saga, the step in it, and the rest of the way. */
export function located(path: Path): { at: Path; index: number | null; rest: Path } {
  let found: { at: Path; index: number | null; rest: Path } = { at: [], index: null, rest: path };
  let i = 0;
  let at: Path = [];
  while (path[i] === "steps" && typeof path[i + 1] === "number") {
    found = { at, index: path[i + 1] as number, rest: path.slice(i + 2) };
    i += 2;
    while (path[i] === "for_each" && path[i + 1] === "step") {
      found = { at: path.slice(0, i + 1), index: 0, rest: path.slice(i + 2) };
      i += 2;
    }
    if (path[i] !== "saga") break;
    at = path.slice(0, i + 1);
    i += 1;
  }
  return found;
}

/** Where opening a step leads: its saga, or what its "for each" does; null: it has no inside. */
export function opened(whole: Draft, at: Path, index: number): Path | null {
  const path = pathOf(at, index);
  for (const key of ["saga", "for_each"]) {
    if (sagaAt(whole, [...path, key])) return [...path, key];
  }
  return null;
}

/** The nearest place around this one that there still is. */
export function nearest(whole: Draft, at: Path): Path {
  for (let end = at.length; end > 0; end -= 1) {
    const place = at.slice(0, end);
    const isPlace = place[end - 1] === "saga" || isForEach(place);
    if (isPlace && sagaAt(whole, place)) return place;
  }
  return [];
}
