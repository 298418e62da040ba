/** The form of one step: every option that the schema has, in sections. */
import { useEffect, useId, useState, type ReactNode } from "react";
import type { Catalogue, Json, Path } from "../protocol";
import { ChoiceRow } from "./controls";
import { Field } from "./fields";
import { useForm, usePlace, type FieldProps } from "./form";
import { BESIDE, DOES, ORDER, sections } from "./groups";
import { problemsAt, tally } from "./problems";
import { initial, rewritten, type Option, type Schema } from "./schema";
import { put } from "./values";

export type Values = { [key: string]: Json };

interface Props {
  options: Option[];
  path: Path;
  value: Values;
  hidden: string[]; // options that are shown elsewhere, or that make no sense here
  mixed?: Set<string>;
  /** Options that have a form of their own. */
  own?: Record<string, (option: Option) => ReactNode>;
  palette: Catalogue["palette"];
  onChange(value: Values, what: string): void;
}

export function StepForm(props: Props) {
  const { options, path, value, hidden, mixed, own = {}, onChange } = props;
  const { problems } = useForm();
  const isShown = ({ key }: Option) => {
    const beside = BESIDE[key];
    const isOf = !beside || value[beside] !== undefined || value[key] !== undefined;
    return isOf || problemsAt(problems, [...path, key]).length > 0;
  };
  const does = options.filter(({ key }) => DOES.includes(key) && !hidden.includes(key));
  return sections(options, [...DOES, ...hidden]).map((section, at) => (
    <SectionBox key={section.title} {...section} path={path} value={value} mixed={mixed}>
      {at === 0 && does.length > 0 && <DoesField {...props} does={does} />}
      {section.options.filter(isShown).map((option) => (
        <div key={option.key}>
          {own[option.key]?.(option) ?? (
            <Field
              option={option}
              path={[...path, option.key]}
              value={value[option.key]}
              mixed={mixed?.has(option.key)}
              onChange={(next, what) => onChange(put(value, [option.key], next), what)}
            />
          )}
        </div>
      ))}
    </SectionBox>
  ));
}

/** A part of the form that can be folded; it says how much of it is set, and what is wrong in it. */
function SectionBox(props: {
  title: string;
  open: boolean;
  options: Option[];
  path: Path;
  value: Values;
  mixed?: Set<string>;
  children: ReactNode;
}) {
  const { problems } = useForm();
  const { options, path, value } = props;
  const isSet = ({ key }: Option) => value[key] !== undefined || props.mixed?.has(key);
  const found = options.flatMap(({ key }) => problemsAt(problems, [...path, key]));
  const count = options.filter(isSet).length;
  const [open, setOpen] = useState(props.open || count > 0);
  const wrong = tally(found);
  useEffect(() => {
    if (wrong) setOpen(true);
  }, [wrong]);
  return (
    <details
      className="sk-section"
      open={open}
      onToggle={(event) => setOpen(event.currentTarget.open)}
    >
      <summary>
        {props.title}
        {!open && count > 0 && <span className="sk-count">{count} set</span>}
        {wrong && <span className="sk-count sk-wrong">{wrong}</span>}
      </summary>
      <div className="sk-section-body">{props.children}</div>
    </details>
  );
}

/** Which of the things that exclude each other a step does, and the form of that one. */
function DoesField({ does, path, value, palette, onChange }: Props & { does: Option[] }) {
  const { root } = useForm();
  const chosen =
    does.find(({ key }) => value[key] !== undefined && value[key] !== null) ?? does[0]!;
  const others = does.map(({ key }) => key).filter((key) => key !== chosen.key);
  const { problems } = useForm();
  const isGroup = chosen.shapes.length === 1; // "What happens" takes it away
  const stray = others.flatMap((key) => problemsAt(problems, [...path, key]));
  function choose(key: string) {
    const cleared = Object.fromEntries(
      Object.entries(value).filter(([other]) => !does.some((one) => one.key === other)),
    );
    const option = does.find((one) => one.key === key)!;
    const next =
      key === does[0]!.key ? cleared : { ...cleared, [key]: begun(root, option, value, palette) };
    onChange(next, `does: ${option.label.toLowerCase()}`);
  }
  return (
    <>
      <ChoiceRow
        label="What happens"
        problems={stray}
        value={chosen.key}
        choices={does.map(({ key, label }) => ({ value: key, label }))}
        onChoose={choose}
      />
      <Field
        key={chosen.key}
        option={{ ...chosen, required: isGroup }}
        path={[...path, chosen.key]}
        value={value[chosen.key]}
        onChange={(next, what) => onChange(put(value, [chosen.key], next), what)}
      />
    </>
  );
}

/** What a step begins with that shall do this: as from the palette, else as the schema needs it. */
function begun(root: Schema, option: Option, step: Values, palette: Catalogue["palette"]): Json {
  const sample = palette.find((entry) => option.key in entry.step)?.step[option.key];
  if (sample !== undefined) return structuredClone(sample) as Json;
  const [way] = option.shapes;
  return way ? rewritten(root, way, step.step) || initial(root, way) : null;
}

/** The step within `for_each`: a form of its own, but for its place among others. */
export function innerStep(options: Option[], palette: Catalogue["palette"]) {
  return function InnerStep({ option, path, value, onChange }: FieldProps) {
    const id = useId();
    const place = usePlace();
    const inner = (value ?? {}) as Values;
    const name = options.find((one) => one.required);
    const label = option.label.toLowerCase();
    const change = (next: Values, what: string) => onChange(next, `${label}: ${what}`);
    return (
      <fieldset className="sk-group" data-path={place(path)} aria-describedby={`${id}-hint`}>
        <legend>{option.label}</legend>
        <p className="sk-hint" id={`${id}-hint`}>
          {option.hint}
        </p>
        {name && (
          <Field
            option={{ ...name, label: "Name" }}
            path={[...path, name.key]}
            value={inner[name.key]}
            onChange={(next, what) => change(put(inner, [name.key], next), what)}
          />
        )}
        <StepForm
          {...{ options, path, palette }}
          value={inner}
          hidden={[name?.key ?? "", ...ORDER]}
          onChange={change}
        />
      </fieldset>
    );
  };
}
