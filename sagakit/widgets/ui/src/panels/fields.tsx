/**
 * The form engine: draws the form of an option from its JSON Schema, whatever the option is.
 *
 * Every field shows the problems of its own path and of what is beneath it; a field with parts
 * leaves theirs to them. `data-path` is where `focusField` finds a field.
 */
import { useId, type ReactNode } from "react";
import type { Json, Path } from "../protocol";
import { ChoiceRow, Problems, Prose, TextRow, TickRow } from "./controls";
import { useForm, usePlace, type FieldProps } from "./form";
import { problemsAt } from "./problems";
import {
  fitting,
  initial,
  isMapping,
  option as optionOf,
  options,
  rewritten,
  wayName,
  type Option,
  type Shape,
} from "./schema";
import { duration, format, parse, put, same, type Read } from "./values";

/** One option of a struct. */
export function Field(props: FieldProps) {
  const { option, value } = props;
  const { root } = useForm();
  const onChange = (next: Json | undefined, what: string) => {
    const left = !option.required && (next === null || same(next, option.fallback));
    props.onChange(left ? undefined : next, what);
  };
  const given = { ...props, onChange, value: value === null ? undefined : value };
  const [only] = option.shapes;
  if (!only) return null;
  if (option.shapes.length > 1) return <UnionField {...given} />;
  const chosen = fitting(root, option.shapes, given.value);
  return <ShapeField {...given} shape={chosen ?? only} />;
}

/** All options of a struct, but for those that are shown elsewhere. */
export function Fields(props: {
  options: Option[];
  path: Path;
  value: { [key: string]: Json };
  onChange(value: { [key: string]: Json }, what: string): void;
}) {
  const { path, value, onChange } = props;
  return props.options.map((option) => (
    <Field
      key={option.key}
      option={option}
      path={[...path, option.key]}
      value={value[option.key]}
      onChange={(part, what) => onChange(put(value, [option.key], part), what)}
    />
  ));
}

type ShapeProps = FieldProps & { shape: Shape; bare?: boolean };

function ShapeField(props: ShapeProps) {
  const { special } = useForm();
  const { shape } = props;
  switch (shape.kind) {
    case "boolean":
      return <BooleanField {...props} />;
    case "words":
      return <WordsField {...props} shape={shape} />;
    case "struct": {
      const Special = special[shape.name];
      return Special ? <Special {...props} /> : <StructField {...props} shape={shape} />;
    }
    case "list":
      return <ListField {...props} shape={shape} />;
    case "row":
      return <RowField {...props} shape={shape} />;
    case "map":
      return <MapField {...props} shape={shape} />;
    default:
      return <TypedField {...props} />;
  }
}

/** Text, a number, or free JSON. */
function TypedField({ option, path, value, mixed, onChange, shape, bare }: ShapeProps) {
  const { problems, suggest } = useForm();
  const text = format(shape, value);
  const long = shape.kind === "any" || text.includes("\n") || "contentMediaType" in option.schema;
  const read = (typed: string): Read => {
    const found = parse(shape, typed);
    const lacks = option.required && "value" in found && found.value === undefined;
    return lacks ? { error: `${option.label} is needed; give one` } : found;
  };
  const clearable = !bare && !option.required && value !== undefined;
  const said = option.label.toLowerCase();
  return (
    <TextRow
      label={option.label}
      hideLabel={bare}
      hint={hintOf(option, shape)}
      unit={shape.kind === "number" ? option.unit : undefined}
      unitNote={option.unit && duration(value)}
      path={path}
      problems={problemsAt(problems, path)}
      value={text}
      read={read}
      onCommit={(next) => onChange(next, next === undefined ? `${said} cleared` : said)}
      onClear={clearable ? () => onChange(undefined, `${said} cleared`) : undefined}
      names={shape.kind === "text" ? suggest(option) : []}
      lines={
        long ? text.split("\n").length + (option.hint ? 2 : 0) : Math.ceil(text.length / WIDTH)
      }
      placeholder={mixed ? "different" : placeholderOf(option)}
      numeric={shape.kind === "number"}
      code={shape.kind === "any" || long}
    />
  );
}

const WIDTH = 38; // letters in a line of the inspector: a longer text is shown in several

function hintOf(option: Option, shape: Shape): string {
  if (shape.kind !== "any" || !option.hint) return option.hint;
  return `${option.hint.replace(/\.$/, "")}. Text, a number, or JSON.`;
}

const placeholderOf = ({ fallback }: Option) =>
  typeof fallback === "number" || (typeof fallback === "string" && fallback)
    ? String(fallback)
    : undefined;

function BooleanField({ option, path, value, mixed, onChange }: ShapeProps) {
  const { problems } = useForm();
  return (
    <TickRow
      label={option.label}
      hint={option.hint}
      path={path}
      problems={problemsAt(problems, path)}
      checked={(value ?? option.fallback) === true}
      mixed={mixed}
      onTick={(on) => onChange(on, `${option.label.toLowerCase()} ${on ? "on" : "off"}`)}
    />
  );
}

const UNSET = "";

function WordsField(props: ShapeProps & { shape: Shape & { kind: "words" } }) {
  const { option, path, value, onChange, shape, bare } = props;
  const { problems } = useForm();
  const at = shape.values.findIndex((one) => same(one, value));
  const words = shape.values.map((one, at) => ({ value: `${at}`, label: String(one) }));
  const lacks = at < 0 || !option.required;
  const fallback = shape.values.includes(option.fallback ?? null) ? ` (${option.fallback})` : "";
  return (
    <ChoiceRow
      label={option.label}
      hideLabel={bare}
      hint={bare ? undefined : option.hint}
      path={path}
      problems={problemsAt(problems, path)}
      value={at < 0 ? UNSET : `${at}`}
      choices={lacks ? [{ value: UNSET, label: `Not set${fallback}` }, ...words] : words}
      onChoose={(way) => {
        const next = way === UNSET ? undefined : shape.values[Number(way)];
        onChange(next, `${option.label.toLowerCase()}: ${next ?? "not set"}`);
      }}
    />
  );
}

/** An option that can be written in several ways: first which, then what. */
function UnionField(props: FieldProps) {
  const { option, path, value, mixed, onChange } = props;
  const { root, problems } = useForm();
  const ways = option.shapes.flatMap<{ shape: Shape; label: string; start?: Json }>((shape) =>
    shape.kind === "boolean"
      ? [
          { shape, label: "Yes", start: true },
          { shape, label: "No", start: false },
        ]
      : [{ shape, label: wayName(shape, option.shapes) }],
  );
  const shape = fitting(root, option.shapes, value);
  const at = ways.findIndex(
    (one) => one.shape === shape && (one.start === undefined || one.start === value),
  );
  const unset = { value: UNSET, label: mixed ? "Different" : "Not set" };
  const choices = ways.map(({ label }, at) => ({ value: `${at}`, label }));
  const drawn = shape !== undefined && shape.kind !== "boolean";
  const own = drawn ? [] : problemsAt(problems, path);
  const told = shape && ["text", "number", "any"].includes(shape.kind); // beneath the text
  // the select has the option's own name; two fields of one name could not be told apart
  const chosen = { ...option, label: `${option.label} (${ways[at]?.label.toLowerCase()})` };
  const stray = value !== undefined && at < 0; // fits none of the ways: to be seen, and changed
  const label = option.label.toLowerCase();
  return (
    <div className="sk-union">
      <ChoiceRow
        label={option.label}
        hint={told ? undefined : option.hint}
        path={path}
        problems={own}
        value={at < 0 ? UNSET : `${at}`}
        choices={at >= 0 && option.required ? choices : [unset, ...choices]}
        onChoose={(way) => {
          const one = ways[Number(way)];
          if (way === UNSET || !one) return onChange(undefined, `${label} cleared`);
          const next = one.start ?? rewritten(root, one.shape, value);
          onChange(next, `${label}: ${one.label.toLowerCase()}`);
        }}
      />
      {drawn && <ShapeField {...props} option={chosen} shape={shape} bare />}
      {stray && <TypedField {...props} shape={{ kind: "any" }} bare />}
    </div>
  );
}

/** A fieldset with what is wrong with the whole of it. */
export function Group(props: {
  label: string;
  hint?: string;
  path: Path;
  parts: (string | number)[];
  hideLabel?: boolean;
  tools?: ReactNode;
  children: ReactNode;
}) {
  const { problems } = useForm();
  const place = usePlace();
  const id = useId();
  return (
    <fieldset
      className={`sk-group${props.hideLabel ? " sk-bare" : ""}`}
      data-path={place(props.path)}
      aria-describedby={`${id}-hint ${id}-problems`}
    >
      <legend className={props.hideLabel ? "sk-hidden" : undefined}>{props.label}</legend>
      {props.tools && <div className="sk-tools">{props.tools}</div>}
      {props.hint && (
        <p className="sk-hint" id={`${id}-hint`}>
          <Prose text={props.hint} />
        </p>
      )}
      <Problems id={`${id}-problems`} problems={problemsAt(problems, props.path, props.parts)} />
      {props.children}
    </fieldset>
  );
}

type StructProps = ShapeProps & { shape: Shape & { kind: "struct" } };

function StructField(props: StructProps) {
  const { option, path, value, mixed, onChange, shape, bare } = props;
  const { root } = useForm();
  const label = option.label;
  if (!isMapping(value)) {
    const add = () => onChange(initial(root, shape), `${label.toLowerCase()} added`);
    return <Absent {...{ label, path, mixed }} hint={option.hint} onAdd={add} />;
  }
  const inner = options(root, shape.schema);
  if (bare && inner.length === 1) return <OnlyOption {...props} value={value} only={inner[0]!} />;
  return (
    <Group
      label={label}
      hint={bare ? shape.about : option.hint}
      path={path}
      parts={inner.map((one) => one.key)}
      hideLabel={bare}
      tools={
        !bare &&
        !option.required && (
          <RemoveButton
            label={label}
            onRemove={() => onChange(undefined, `${label.toLowerCase()} removed`)}
          />
        )
      }
    >
      <Fields
        options={inner}
        path={path}
        value={value}
        onChange={(next, what) => onChange(next, `${label.toLowerCase()}: ${what}`)}
      />
    </Group>
  );
}

/** A struct with but one option, such as `{http: {…}}` or `{cel: …}`, is drawn as that one. */
function OnlyOption(props: StructProps & { value: { [key: string]: Json }; only: Option }) {
  const { path, value, only, onChange } = props;
  const [way] = only.shapes;
  const isStruct = only.shapes.length === 1 && way?.kind === "struct";
  const field = {
    option: only,
    path: [...path, only.key],
    value: value[only.key],
    onChange: (next: Json | undefined, what: string) =>
      onChange(put(value, [only.key], next), what),
  };
  if (!isStruct) return <Field {...field} />;
  return <StructField {...field} shape={{ ...way, about: props.shape.about || way.about }} bare />;
}

/** An option with parts that is left out. */
function Absent(props: {
  label: string;
  hint: string;
  path: Path;
  mixed?: boolean;
  onAdd: () => void;
}) {
  const { problems } = useForm();
  const place = usePlace();
  const id = useId();
  const found = problemsAt(problems, props.path);
  const shown = props.mixed ? `${props.label} (different)` : props.label;
  return (
    <div className="sk-field" data-path={place(props.path)}>
      <div className="sk-control">
        <button
          type="button"
          className="sk-button"
          aria-label={`Add ${props.label.toLowerCase()}`}
          aria-describedby={`${id}-hint ${id}-problems`}
          onClick={props.onAdd}
        >
          <span aria-hidden="true">+</span> {shown}
        </button>
      </div>
      <p className="sk-hint" id={`${id}-hint`}>
        <Prose text={props.hint} />
      </p>
      <Problems id={`${id}-problems`} problems={found} />
    </div>
  );
}

export function RemoveButton({ label, onRemove }: { label: string; onRemove: () => void }) {
  return (
    <button
      type="button"
      className="sk-quiet"
      aria-label={`Remove ${label.toLowerCase()}`}
      onClick={onRemove}
    >
      Remove
    </button>
  );
}

function ListField(props: ShapeProps & { shape: Shape & { kind: "list" } }) {
  const { option, path, value, onChange, shape } = props;
  const { root } = useForm();
  const items = Array.isArray(value) ? value : [];
  const sample = optionOf(root, option.key, shape.item, false);
  const struct = sample.shapes.length === 1 && sample.shapes[0]!.kind === "struct";
  const label = option.label.toLowerCase();
  return (
    <Group
      label={option.label}
      hint={option.hint}
      path={path}
      parts={items.map((_, at) => at)}
      hideLabel={props.bare}
    >
      {[...items, ...(struct ? [] : [undefined])].map((item, at) => (
        <Entry
          key={at}
          {...props}
          item={shape.item}
          at={at}
          isNew={at === items.length}
          value={item}
          onChange={(next, what) => onChange(put(items, [at], next), `${label}: ${what}`)}
        />
      ))}
      {struct && (
        <button
          type="button"
          className="sk-button"
          onClick={() => onChange([...items, initial(root, sample.shapes[0]!)], `${label} added`)}
        >
          <span aria-hidden="true">+</span> {option.label}
        </button>
      )}
    </Group>
  );
}

/** One entry of a list; the last, empty one adds to it. An entry that is cleared goes. */
function Entry(props: FieldProps & { item: Option["schema"]; at: number; isNew: boolean }) {
  const { option, path, item, at, isNew, ...rest } = props;
  const { root } = useForm();
  const label = isNew ? `Add to ${option.label.toLowerCase()}` : `${option.label} ${at + 1}`;
  const one = { ...optionOf(root, option.key, item, false), label, hint: "" };
  return (
    <div className="sk-entry">
      <Field {...rest} option={one} path={[...path, at]} />
    </div>
  );
}

function RowField(props: ShapeProps & { shape: Shape & { kind: "row" } }) {
  const { option, path, value, onChange, shape } = props;
  const { root } = useForm();
  if (!Array.isArray(value)) {
    const add = () => onChange(initial(root, shape), `${option.label.toLowerCase()} added`);
    return <Absent label={option.label} hint={option.hint} path={path} onAdd={add} />;
  }
  const remove = () => onChange(undefined, `${option.label.toLowerCase()} removed`);
  return (
    <Group
      label={option.label}
      hint={option.hint}
      path={path}
      parts={value.map((_, at) => at)}
      tools={!option.required && <RemoveButton label={option.label} onRemove={remove} />}
    >
      {shape.items.map((item, at) => (
        <Field
          key={at}
          option={{ ...optionOf(root, `${at + 1}`, item, true), hint: "" }}
          path={[...path, at]}
          value={value[at]}
          onChange={(next, what) => onChange(put(value, [at], next), what)}
        />
      ))}
    </Group>
  );
}

/** Names, each with a value: a request's headers, for instance. */
function MapField(props: ShapeProps & { shape: Shape & { kind: "map" } }) {
  const { option, path, onChange, shape } = props;
  const { root } = useForm();
  const value = isMapping(props.value) ? props.value : {};
  const keys = Object.keys(value);
  const label = option.label.toLowerCase();
  return (
    <Group label={option.label} hint={option.hint} path={path} parts={keys} hideLabel={props.bare}>
      {keys.map((key) => (
        <Field
          key={key}
          option={{ ...optionOf(root, key, shape.item, false), label: key, hint: "" }}
          path={[...path, key]}
          value={value[key]}
          onChange={(next, what) => onChange(put(value, [key], next), `${label}: ${what}`)}
        />
      ))}
      <TextRow
        key={keys.length}
        label={`Add to ${label}: its name`}
        value=""
        read={(name) => (name in value ? { error: `there is one of this name` } : { value: name })}
        onCommit={(name) => {
          const [way] = optionOf(root, "", shape.item, true).shapes;
          if (name)
            onChange({ ...value, [String(name)]: initial(root, way!) }, `${label}: ${name}`);
        }}
        placeholder="name"
      />
    </Group>
  );
}
