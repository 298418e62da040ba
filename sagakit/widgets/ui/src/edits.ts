/**
 * What can be done to a saga's steps, as pure functions: a saga in, another one out.
 *
 * A refused edit throws a `Refusal` with the words for the user; nothing has changed then.
 */
import type { Draft, StepDraft } from "./protocol";

export class Refusal extends Error {}

/** A step as the palette or the clipboard has it: it does not run after anything yet. */
export type Loose = Omit<StepDraft, "after"> & { step: string };

export interface Added {
  draft: Draft;
  names: string[]; // what the new steps are called
}

// -- asking -------------------------------------------------------------------------------------

/** `wanted`, or the first of `wanted_2`, `wanted_3`, … that no step has. */
export function freshName(taken: Iterable<string>, wanted: string): string {
  const names = new Set(taken);
  if (!names.has(wanted)) return wanted;
  const stem = wanted.replace(/_\d+$/, "");
  for (let n = 2; ; n += 1) {
    if (!names.has(`${stem}_${n}`)) return `${stem}_${n}`;
  }
}

/** Whether `to` runs after `from`, at once or by way of others. */
export function reaches(steps: StepDraft[], from: string, to: string): boolean {
  return ancestors(steps, [to]).has(from);
}

/** Every step that these run after, without themselves. */
function ancestors(steps: StepDraft[], of: string[]): Set<string> {
  const afters = new Map(steps.map((step) => [step.step, step.after ?? []]));
  const found = new Set<string>();
  const open = of.flatMap((name) => afters.get(name) ?? []);
  while (open.length > 0) {
    const name = open.pop()!;
    if (found.has(name)) continue;
    found.add(name);
    open.push(...(afters.get(name) ?? []));
  }
  return found;
}

/** The steps of these that none of the others of these runs after. */
export function lastOf(draft: Draft, names: string[]): string[] {
  return names.filter((name) => !ancestors(draft.steps, without(names, [name])).has(name));
}

/** The same steps, each below those that it runs after, moved as little as possible. */
function inOrder(steps: StepDraft[]): StepDraft[] {
  const left = [...steps];
  const placed = new Set<string>();
  const there = new Set(steps.map(({ step }) => step));
  const ordered: StepDraft[] = [];
  while (left.length > 0) {
    const ready = left.findIndex(({ after }) =>
      (after ?? []).every((name) => placed.has(name) || !there.has(name)),
    );
    const [next] = left.splice(Math.max(ready, 0), 1); // in a circle, which the YAML can hold, as it stands
    placed.add(next!.step);
    ordered.push(next!);
  }
  return ordered;
}

// -- edges --------------------------------------------------------------------------------------

/** Why `to` must not run after `from`, or null when it may. */
export function objection(draft: Draft, from: string, to: string): string | null {
  if (from === to) return `'${to}' cannot run after itself`;
  if (stepOf(draft, to).after?.includes(from)) return `'${to}' runs after '${from}' already`;
  if (reaches(draft.steps, to, from)) {
    return `'${to}' cannot run after '${from}': '${from}' runs after '${to}', and that would be a circle`;
  }
  return null;
}

/** `to` runs after `from`. A connection that would close a circle is refused. */
export function connect(draft: Draft, from: string, to: string): Draft {
  stepOf(draft, from);
  const no = objection(draft, from, to);
  if (no) throw new Refusal(no);
  const joined = changed(draft, to, (step) => ({ ...step, after: [...(step.after ?? []), from] }));
  return { ...joined, steps: inOrder(joined.steps) };
}

/** `to` no longer runs after `from`; it is no branch of it then either. */
export function disconnect(draft: Draft, from: string, to: string): Draft {
  return changed(draft, to, (step) =>
    ofNoBranch({ ...step, after: without(step.after ?? [], [from]) }, (choice) => choice === from),
  );
}

// -- steps --------------------------------------------------------------------------------------

/** A new step under a free name, after these. */
export function add(draft: Draft, loose: Loose, after: string[] = []): Added {
  const name = freshName(namesOf(draft), loose.step);
  const step: StepDraft = { ...structuredClone(loose), step: name, after };
  return { draft: { ...draft, steps: [...draft.steps, step] }, names: [name] };
}

/** A new step between two that follow each other. */
export function insert(draft: Draft, loose: Loose, from: string, to: string): Added {
  const added = add(draft, loose, [from]);
  const between = changed(added.draft, to, (step) => ({
    ...step,
    after: (step.after ?? []).map((name) => (name === from ? added.names[0]! : name)),
  }));
  return { ...added, draft: { ...between, steps: inOrder(between.steps) } };
}

/**
 * Without these steps. What ran after one of them now runs after what that one ran after, so that
 * taking a step out leaves the order of the others as it was; what follows from it is not written
 * twice. A branch of a choice that is gone becomes a step that runs in any case.
 */
export function remove(draft: Draft, names: string[]): Draft {
  return names.reduce(removeOne, draft);
}

function removeOne(draft: Draft, name: string): Draft {
  const gone = stepOf(draft, name);
  const kept = draft.steps.filter(({ step }) => step !== name);
  const steps = kept.map((step) => {
    if (!step.after?.includes(name)) return step;
    const own = without(step.after, [name]);
    const known = new Set([...own, ...ancestors(kept, own)]);
    return {
      ...step,
      after: [...own, ...(gone.after ?? []).filter((before) => !known.has(before))],
    };
  });
  return { ...draft, steps: steps.map((step) => ofNoBranch(step, (choice) => choice === name)) };
}

/** A step under another name; whatever names it follows. */
export function rename(draft: Draft, from: string, to: string): Draft {
  const name = to.trim();
  if (name === from) return draft;
  if (name === "") throw new Refusal(`'${from}' needs a name; give it one`);
  if (name.includes("/")) throw new Refusal(`'${name}' cannot be a name: it has a '/' in it`);
  if (namesOf(draft).includes(name)) {
    throw new Refusal(`another step is called '${name}'; choose another name for '${from}'`);
  }
  return follow(
    changed(draft, from, (step) => ({ ...step, step: name })),
    new Map([[from, name]]),
  );
}

/** What names a renamed step (`after`, `branch`) follows. */
export function follow(draft: Draft, names: Map<string, string>): Draft {
  const now = (name: string) => names.get(name) ?? name;
  const steps = draft.steps.map((step) => {
    const [choice, ...keys] = Array.isArray(step.branch) ? (step.branch as string[]) : [];
    const isOld = step.after?.some((name) => names.has(name));
    if (!isOld && !names.has(choice ?? "")) return step;
    const after = step.after?.map(now) ?? [];
    return choice === undefined
      ? { ...step, after }
      : { ...step, after, branch: [now(choice), ...keys] };
  });
  return { ...draft, steps };
}

/** Which steps have another name in `after` than in `before`: same place, and neither is in both. */
export function renames(before: Draft, after: Draft): Map<string, string> {
  const found = new Map<string, string>();
  if (before.steps.length !== after.steps.length) return found;
  const [old, now] = [new Set(namesOf(before)), new Set(namesOf(after))];
  before.steps.forEach(({ step }, i) => {
    const name = after.steps[i]!.step;
    if (step !== name && !now.has(step) && !old.has(name)) found.set(step, name);
  });
  return found;
}

/** Each of these steps once more, beside the first: after the same steps. */
export function duplicate(draft: Draft, names: string[]): Added {
  const inner = new Set(names);
  const outer = new Map(
    draft.steps.map(({ step, after }) => [step, (after ?? []).filter((name) => !inner.has(name))]),
  );
  return paste(draft, among(draft, inner), (original) => outer.get(original) ?? []);
}

/** These steps, in the saga's order, with the edges among them and none to others. */
export function copy(draft: Draft, names: string[]): StepDraft[] {
  const inner = new Set(names);
  return among(draft, inner).map((step) => ofNoBranch(step, (choice) => !inner.has(choice)));
}

function among(draft: Draft, names: Set<string>): StepDraft[] {
  return draft.steps
    .filter(({ step }) => names.has(step))
    .map((step) => structuredClone(step))
    .map((step) => ({ ...step, after: (step.after ?? []).filter((name) => names.has(name)) }));
}

/** Copied steps under free names, with the edges among them; `outer` says what else each runs after. */
export function paste(
  draft: Draft,
  steps: StepDraft[],
  outer: (original: string) => string[] = () => [],
): Added {
  const taken = namesOf(draft);
  const names = new Map<string, string>();
  for (const { step } of steps) {
    const name = freshName(taken, step);
    taken.push(name);
    names.set(step, name);
  }
  const copies = steps.map((step) => ({ ...structuredClone(step), step: names.get(step.step)! }));
  const { steps: renamed } = follow({ saga: "", steps: copies }, names);
  const pasted = renamed.map((step, i) => ({
    ...step,
    after: [...outer(steps[i]!.step), ...step.after],
  }));
  return { draft: { ...draft, steps: [...draft.steps, ...pasted] }, names: [...names.values()] };
}

// -- shared -------------------------------------------------------------------------------------

function namesOf(draft: Draft): string[] {
  return draft.steps.map(({ step }) => step);
}

export function stepOf(draft: Draft, name: string): StepDraft {
  const found = draft.steps.find(({ step }) => step === name);
  if (!found) throw new Refusal(`saga '${draft.saga}' has no step '${name}'`);
  return found;
}

function changed(draft: Draft, name: string, change: (step: StepDraft) => StepDraft): Draft {
  stepOf(draft, name);
  return { ...draft, steps: draft.steps.map((step) => (step.step === name ? change(step) : step)) };
}

function ofNoBranch(step: StepDraft, isGone: (choice: string) => boolean): StepDraft {
  if (!Array.isArray(step.branch) || !isGone(step.branch[0] as string)) return step;
  const { branch: _, ...rest } = step;
  return rest as StepDraft;
}

function without(names: string[], gone: string[]): string[] {
  return names.filter((name) => !gone.includes(name));
}
