/** What holds for the whole saga: its name, its input, its deadline, and how its services are called. */
import { useMemo } from "react";
import type { Draft, Json, PanelProps, Path } from "../protocol";
import { Problems, TextRow } from "./controls";
import { Field, Fields, Group, RemoveButton } from "./fields";
import { FormProvider, useForm, type Form } from "./form";
import { problemsAt } from "./problems";
import { withServices, type Service } from "./services";
import { options, resolve, type Option, type Schema } from "./schema";
import { format, parseMapping, put } from "./values";

const NAME = "saga";
const STEPS = "steps"; // they have the canvas

export function SagaOptions(props: PanelProps) {
  const { at, draft, state, catalogue, apply } = props;
  const root = catalogue.schema as Schema;
  const form = useMemo<Form>(
    () => ({ root, base: at, problems: state.problems, suggest: () => [], special: {} }),
    [root, at, state.problems],
  );
  const all = useMemo(() => options(root, root), [root]);
  const set = (key: string) => (value: Json | undefined, what: string) =>
    apply(`saga ${draft.saga}: ${what}`, (saga) => put(saga, [key], value));
  if (at.at(-1) === "for_each") {
    return <p className="sk-panel sk-muted">Select the step to see what is done for each item.</p>;
  }
  const shown = all.filter(({ key }) => key !== STEPS);
  return (
    <FormProvider value={form}>
      <section className="sk-panel" aria-label={`Saga ${draft.saga}`}>
        <Problems
          problems={problemsAt(
            state.problems,
            at,
            all.map(({ key }) => key),
          )}
        />
        {shown.map((option) => (
          <SagaOption key={option.key} {...props} option={option} onChange={set(option.key)} />
        ))}
      </section>
    </FormProvider>
  );
}

type OptionProps = PanelProps & {
  option: Option;
  onChange(value: Json | undefined, what: string): void;
};

function SagaOption({ option, onChange, ...props }: OptionProps) {
  const { at, draft, apply } = props;
  const path = [...at, option.key];
  const value = draft[option.key] as Json | undefined;
  switch (option.key) {
    case NAME:
      return <Field {...{ path, value, onChange }} option={{ ...option, label: "Name" }} />;
    case "input":
      return <InputField {...{ option, path, value, onChange }} />;
    case "services":
      return (
        <ServicesField
          {...{ option, path, draft }}
          onChange={(services, what) =>
            apply(`saga ${draft.saga}: ${what}`, (saga) => withServices(saga, services))
          }
        />
      );
    default:
      return <Field {...{ option, path, value, onChange }} />;
  }
}

/** The JSON Schema of the input, as text: any schema is allowed there. */
function InputField(props: {
  option: Option;
  path: Path;
  value: Json | undefined;
  onChange(value: Json | undefined, what: string): void;
}) {
  const { problems } = useForm();
  const { option, path, value, onChange } = props;
  const text = format(undefined, value ?? undefined);
  return (
    <TextRow
      label={option.label}
      hint={`${option.hint} The Data tab can make it.`}
      path={path}
      problems={problemsAt(problems, path)}
      value={text}
      read={parseMapping}
      onCommit={(next) => onChange(next, "input")}
      onClear={text ? () => onChange(undefined, "input cleared") : undefined}
      lines={Math.min(16, Math.max(3, text.split("\n").length))}
      code
    />
  );
}

function ServicesField(props: {
  option: Option;
  path: Path;
  draft: Draft;
  onChange(services: Service[], what: string): void;
}) {
  const { root } = useForm();
  const { option, path, draft, onChange } = props;
  const services = (draft.services ?? []) as Service[];
  const item = resolve(root, resolve(root, option.schema).schema.items as Schema).schema;
  const policies = options(root, item);
  const used = draft.steps.map((step) => step.service).filter((one) => typeof one === "string");
  const names = services.map(({ service }) => service);
  const free = [...new Set(used)].filter((name) => !names.includes(name));
  return (
    <Group label={option.label} hint={option.hint} path={path} parts={services.map((_, at) => at)}>
      {services.map((service, at) => (
        <Group
          key={at}
          label={`Service ${service.service}`}
          path={[...path, at]}
          parts={policies.map(({ key }) => key)}
          tools={
            <RemoveButton
              label={`service ${service.service}`}
              onRemove={() => onChange(services.toSpliced(at, 1), `${service.service} removed`)}
            />
          }
        >
          <Fields
            options={policies.map((one) =>
              one.key === "service" ? { ...one, label: "Name" } : one,
            )}
            path={[...path, at]}
            value={service}
            onChange={(next, what) =>
              onChange(services.with(at, next as Service), `service ${service.service}: ${what}`)
            }
          />
        </Group>
      ))}
      <TextRow
        key={names.join()}
        label="Add a service"
        hint={free.length ? `The steps name ${free.join(", ")}.` : undefined}
        value=""
        names={free}
        placeholder="name"
        read={(name) =>
          names.includes(name.trim())
            ? { error: `There is a service ${name.trim()} already; give another name` }
            : { value: name.trim() || undefined }
        }
        onCommit={(name) =>
          name && onChange([...services, { service: String(name) }], `service ${name} added`)
        }
      />
    </Group>
  );
}
