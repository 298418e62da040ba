/** What can be said of the steps that are selected; of none: of the saga itself. */
import { useMemo, useRef } from "react";
import { connect, disconnect, remove, rename } from "../edits";
import type { Draft, Json, PanelProps, Path, StepDraft } from "../protocol";
import { pathOf } from "../places";
import { BranchField } from "./Branch";
import { Problems, TextRow } from "./controls";
import { Group } from "./fields";
import { FormProvider, useForm, type FieldProps, type Form } from "./form";
import { DOES, ORDER } from "./groups";
import { KeptFocus } from "./KeptFocus";
import { problemsAt } from "./problems";
import { RunsAfter } from "./RunsAfter";
import { SagaOptions } from "./SagaOptions";
import { options, resolve, type Option, type Schema } from "./schema";
import { innerStep, StepForm, type Values } from "./StepForm";
import { same } from "./values";

export function Inspector(props: PanelProps) {
  return (
    <KeptFocus>
      <Selected {...props} />
    </KeptFocus>
  );
}

function Selected(props: PanelProps) {
  const { at, draft, selected } = props;
  // what a "for each" does is shown as a saga of one step, which has no options of its own
  const isItem = at.at(-1) === "for_each";
  const steps = draft.steps.filter((one) => isItem || selected.includes(one.step));
  const identity = useIdentity(draft, steps[0]?.step ?? "", at);
  if (steps.length === 0) return <SagaOptions {...props} />;
  if (steps.length > 1) return <SeveralSteps {...props} steps={steps} />;
  return <OneStep key={identity} {...props} step={steps[0]!} />;
}

/** A number that stays while a step is edited and renamed, and is another for another step. */
function useIdentity(draft: Draft, name: string, at: Path): number {
  const place = draft.steps.findIndex((one) => one.step === name);
  const last = useRef({ name, place, saga: JSON.stringify(at), number: 0 });
  const before = last.current;
  const saga = JSON.stringify(at);
  const renamed = place === before.place && !draft.steps.some((one) => one.step === before.name);
  const stays = saga === before.saga && (name === before.name || renamed);
  last.current = { name, place, saga, number: before.number + (stays ? 0 : 1) };
  return last.current.number;
}

/** The schema's options of a step, and what the fields of a step need to know. */
function useStepForm(props: PanelProps, base: Path): { form: Form; stepOptions: Option[] } {
  const { catalogue, draft, state, reveal } = props;
  const root = catalogue.schema as Schema;
  return useMemo(() => {
    const saga = resolve(root, root);
    const list = resolve(root, (saga.schema.properties as Record<string, Schema>).steps!).schema;
    const step = resolve(root, list.items as Schema);
    const stepOptions = options(root, step.schema);
    const form: Form = {
      root,
      base,
      problems: state.problems,
      suggest: ({ key }) => suggestions(key, draft, catalogue.actions),
      special: {
        [saga.name]: (field) => (
          <InnerSaga {...field} onOpen={() => reveal([...field.path, "steps", 0])} />
        ),
        [step.name]: innerStep(stepOptions, catalogue.palette),
      },
    };
    return { form, stepOptions };
    // the base is another array at every turn, with the same keys as long as `draft` is the same
  }, [root, draft, base.join("/"), state.problems, catalogue, reveal]);
}

/** Names that a text may take: those of services for `service`, those of callables for the others. */
function suggestions(key: string, draft: Draft, actions: string[]): string[] {
  if (key !== "service") return PROSE.includes(key) ? [] : actions;
  const declared = ((draft.services ?? []) as { service: string }[]).map((one) => one.service);
  const used = draft.steps.map((one) => one.service).filter((one) => typeof one === "string");
  return [...new Set([...declared, ...used])];
}
const PROSE = ["description", "event"]; // texts that name no callable

function OneStep(props: PanelProps & { step: StepDraft }) {
  const { draft, step, at, apply, catalogue } = props;
  const name = step.step;
  const path = pathOf(at, draft.steps.indexOf(step));
  const { form, stepOptions } = useStepForm(props, path);
  const keys = stepOptions.map((option) => option.key);
  function change(edit: (step: StepDraft) => StepDraft, what: string) {
    apply(`${name}: ${what}`, (saga) => ({
      ...saga,
      steps: saga.steps.map((one) => (one.step === name ? edit(one) : one)),
    }));
  }
  const own = {
    after: (option: Option) => (
      <RunsAfter
        {...{ draft }}
        names={[name]}
        path={[...path, option.key]}
        hint={`It waits for ${step.after.join(" and ")}.`}
        onToggle={(before, on) =>
          apply(
            on ? `${name} runs after ${before}` : `${name} no longer runs after ${before}`,
            (saga) => (on ? connect : disconnect)(saga, before, name),
          )
        }
      />
    ),
    branch: (option: Option) => (
      <BranchField {...{ draft, step, option }} path={[...path, option.key]} onChange={change} />
    ),
  };
  return (
    <FormProvider value={form}>
      <section className="sk-panel" aria-label={`Step ${name}`}>
        <Problems problems={problemsAt(form.problems, path, keys)} />
        <NameField {...props} path={[...path, "step"]} />
        <StepForm
          options={stepOptions}
          path={path}
          value={step as Values}
          hidden={at.at(-1) === "for_each" ? ["step", ...ORDER] : ["step"]}
          own={own}
          palette={catalogue.palette}
          // only what the form has changed, so that it undoes no other edit that came in between
          onChange={(next, what) => change((one) => overlaid(one, step as Values, next), what)}
        />
      </section>
    </FormProvider>
  );
}

/** `one` with what is different between `before` and `after`. */
function overlaid(one: StepDraft, before: Values, after: Values): StepDraft {
  const gone = Object.keys(before).filter((key) => !(key in after));
  const kept = Object.entries(one).filter(([key]) => !gone.includes(key));
  const news = Object.entries(after).filter(([key, value]) => value !== before[key]);
  return { ...Object.fromEntries(kept), ...Object.fromEntries(news) } as StepDraft;
}

function NameField({
  draft,
  step,
  path,
  apply,
  select,
}: PanelProps & { step: StepDraft; path: Path }) {
  const { problems } = useForm();
  const name = step.step;
  return (
    <TextRow
      label="Name"
      path={path}
      problems={problemsAt(problems, path)}
      value={name}
      read={(text) => readName(draft, name, text)}
      onCommit={(given) => {
        apply(`${name} renamed to ${given}`, (saga) => rename(saga, name, given as string));
        select([given as string]);
      }}
    />
  );
}

/** A name that a step of the saga can have. `rename` refuses the others in the same words. */
function readName(draft: Draft, name: string, text: string) {
  const given = text.trim();
  try {
    rename(draft, name, given);
  } catch (error) {
    return { error: (error as Error).message };
  }
  return { value: given as Json };
}

/** A saga within the saga is edited on a canvas of its own; here it is named and can be opened. */
function InnerSaga({ option, path, value, onOpen }: FieldProps & { onOpen: () => void }) {
  const saga = value as unknown as Draft | undefined;
  const names = (saga?.steps ?? []).map((one) => one.step);
  return (
    <Group label={option.label} hint={option.hint} path={path} parts={[]}>
      <p>
        <b>{saga?.saga}</b>:{" "}
        {names.length === 0
          ? "no steps yet"
          : `${names.slice(0, 5).join(", ")}${names.length > 5 ? " …" : ""}`}
      </p>
      <button type="button" className="sk-button" onClick={onOpen}>
        Open {saga?.saga}
      </button>
    </Group>
  );
}

const SEVERAL: Path = ["several"]; // no problem's path: theirs differ, and stand above the form

function SeveralSteps(props: PanelProps & { steps: StepDraft[] }) {
  const { draft, steps, at, apply, select, catalogue } = props;
  const { form, stepOptions } = useStepForm(props, SEVERAL);
  const names = steps.map((one) => one.step);
  const shared = useMemo(() => sharedOf(steps), [steps]);
  const count = `${names.length} steps`;
  const paths = steps.map((one) => pathOf(at, draft.steps.indexOf(one)));
  function edit(next: Values, what: string) {
    const inAll = (one: StepDraft) => overlaid(one, shared.values, next);
    apply(`${count}: ${what}`, (saga) => ({
      ...saga,
      steps: saga.steps.map((one) => (names.includes(one.step) ? inAll(one) : one)),
    }));
  }
  function toggle(before: string, on: boolean) {
    const isSo = (saga: Draft, name: string) =>
      saga.steps.find((one) => one.step === name)?.after?.includes(before) === on;
    apply(`${count} ${on ? "run" : "no longer run"} after ${before}`, (saga) =>
      names
        .filter((name) => !isSo(saga, name))
        .reduce((next, name) => (on ? connect : disconnect)(next, before, name), saga),
    );
  }
  return (
    <FormProvider value={form}>
      <section className="sk-panel" aria-label={`${count} selected`}>
        <h3>{count}</h3>
        <p className="sk-muted">{names.join(", ")}</p>
        <Problems problems={paths.flatMap((path) => problemsAt(form.problems, path))} />
        <p className="sk-hint">What you set here is set for all of them.</p>
        <RunsAfter
          draft={draft}
          names={names}
          path={SEVERAL}
          hint="A tick is for all of them, a dash for some."
          onToggle={toggle}
        />
        <StepForm
          options={stepOptions}
          path={SEVERAL}
          value={shared.values}
          mixed={shared.mixed}
          hidden={["step", "description", "input", "after", "branch", "pivot", ...DOES]}
          palette={catalogue.palette}
          onChange={edit}
        />
        <button
          type="button"
          className="sk-button sk-danger"
          onClick={() => {
            apply(`${count} deleted`, (saga) => remove(saga, names));
            select([]);
          }}
        >
          Delete {count}
        </button>
      </section>
    </FormProvider>
  );
}

/** The options that all the steps have with the same value, and the keys of the others. */
function sharedOf(steps: StepDraft[]): { values: Values; mixed: Set<string> } {
  const keys = new Set(steps.flatMap((one) => Object.keys(one)));
  const values: Values = {};
  const mixed = new Set<string>();
  for (const key of keys) {
    const [first, ...rest] = steps.map((one) => one[key]);
    if (rest.every((other) => same(other, first))) values[key] = first as Json;
    else mixed.add(key);
  }
  return { values, mixed };
}
