/** What the saga's services store: entities with fields and relations; a picture and code come of it. */
import { useId, useMemo, useState } from "react";
import type { DataModel, Entity, Field, PanelProps, Path, Problem, Relation } from "../protocol";
import { ChoiceRow, Problems, TextRow, TickRow } from "./controls";
import { CopyButton } from "./CopyButton";
import { FormProvider, useForm, useProblemsAt, type Form } from "./form";
import { KeptFocus } from "./KeptFocus";
import {
  addEntity,
  addField,
  addRelation,
  changeEntity,
  removeEntity,
  tidy,
  withInput,
} from "./model";
import { problemsAt } from "./problems";
import { PythonCode } from "./PythonCode";

export function DataTab(props: PanelProps) {
  const { state, whole, editModel } = props;
  const { model, problems, python } = state.data;
  const form = useMemo<Form>(
    () => ({ root: {}, base: [], problems, suggest: () => [], special: {} }),
    [problems],
  );
  const services = servicesOf(model, props);
  return (
    <FormProvider value={form}>
      <section className="sk-panel sk-fill" aria-label="Data">
        <KeptFocus>
          <div className="sk-data">
            <div className="sk-entities">
              <InputChoice {...{ model, editModel }} />
              <Problems problems={problemsAt(problems, [], ["entities", "input"])} />
              {[...services, ""].map((service) => (
                <ServiceEntities key={service} {...props} service={service} services={services} />
              ))}
            </div>
            <div className="sk-data-results">
              <ErPicture picture={state.data.picture} model={model} />
              <h3>SQLAlchemy models</h3>
              {python ? (
                <>
                  <div className="sk-bar">
                    <CopyButton text={python} what="the SQLAlchemy models" />
                  </div>
                  <PythonCode code={python} label={`SQLAlchemy models of saga ${whole.saga}`} />
                </>
              ) : (
                <p className="sk-muted">
                  {model.entities.length
                    ? "They are written once the problems are mended."
                    : "They are written as soon as there is an entity."}
                </p>
              )}
            </div>
          </div>
        </KeptFocus>
      </section>
    </FormProvider>
  );
}

/** The services of the model and those that the saga's steps name. */
function servicesOf(model: DataModel, { whole }: PanelProps): string[] {
  const named = [...model.entities, ...whole.steps].map((one) => one.service);
  return [...new Set(named.filter((one) => typeof one === "string" && one !== ""))] as string[];
}

type Edits = Pick<PanelProps, "editModel"> & { model: DataModel };

function InputChoice({ model, editModel }: Edits) {
  const at = useProblemsAt();
  const names = model.entities.map((one) => one.name);
  if (names.length === 0) return null;
  const stray = model.input && !names.includes(model.input) ? [model.input] : [];
  return (
    <ChoiceRow
      label="The saga's input"
      hint="The entity that the saga is given: its fields make the saga's input schema."
      path={["input"]}
      problems={at(["input"])}
      value={model.input ?? ""}
      choices={[
        { value: "", label: "None of them" },
        ...[...names, ...stray].map((name) => ({ value: name, label: name })),
      ]}
      onChoose={(name) =>
        editModel(name ? `${name} is the input` : "no entity is the input", withInput(model, name))
      }
    />
  );
}

function ServiceEntities(props: PanelProps & { service: string; services: string[] }) {
  const { state, service, services, catalogue, editModel } = props;
  const { model } = state.data;
  return (
    <section
      className="sk-service"
      aria-label={service ? `Service ${service}` : "Without a service"}
    >
      {services.length > 0 && <h3>{service || "Without a service"}</h3>}
      {model.entities.map((entity, at) =>
        (entity.service ?? "") === service ? (
          <EntityForm
            key={at}
            {...{ model, entity, at, services, editModel }}
            types={catalogue.field_types}
          />
        ) : null,
      )}
      <AddEntity {...{ model, service, editModel }} />
    </section>
  );
}

function AddEntity({ model, service, editModel }: Edits & { service: string }) {
  return (
    <button
      type="button"
      className="sk-button"
      aria-label={service ? `Add an entity to ${service}` : "Add an entity"}
      onClick={() => editModel("entity added", addEntity(model, service || undefined))}
    >
      <span aria-hidden="true">+</span> Entity
    </button>
  );
}

const HEAD = ["name", "service", "description"];
type EntityProps = Edits & { entity: Entity; at: number; services: string[]; types: string[] };

function EntityForm({ model, entity, at, services, types, editModel }: EntityProps) {
  const { problems } = useForm();
  const [open, setOpen] = useState(model.entities.length <= 3);
  const path: Path = ["entities", at];
  const wrong = problemsAt(problems, path).length > 0;
  const change = (next: Entity, what: string) =>
    editModel(`${entity.name}: ${what}`, changeEntity(model, at, tidy(next)));
  const others = model.entities.map((one) => one.name);
  return (
    <details
      className="sk-section sk-entity"
      data-path={path.join(".")}
      open={open || wrong}
      onToggle={(event) => setOpen(event.currentTarget.open)}
    >
      <summary>
        {entity.name || "Without a name"}
        <span className="sk-count">
          {entity.fields.length} {entity.fields.length === 1 ? "field" : "fields"}
        </span>
        {model.input === entity.name && <span className="sk-count">input</span>}
      </summary>
      <div className="sk-section-body">
        <Problems
          // those of single fields stand with them
          problems={problemsAt(problems, path, HEAD).filter((one) => one.path.length < 4)}
        />
        <EntityHead {...{ entity, path, services }} onChange={change} />
        <FieldsTable {...{ entity, path, types }} onChange={change} />
        <RelationsTable {...{ entity, path, others }} onChange={change} />
        <button
          type="button"
          className="sk-button sk-danger"
          onClick={() => editModel(`${entity.name} deleted`, removeEntity(model, at))}
        >
          Delete {entity.name}
        </button>
      </div>
    </details>
  );
}

interface PartProps {
  entity: Entity;
  path: Path;
  onChange(entity: Entity, what: string): void;
}

const needed = (what: string) => (text: string) =>
  text.trim() ? { value: text.trim() } : { error: `${what} needs a name; give one` };
const anyText = (text: string) => ({ value: text.trim() });

function EntityHead({ entity, path, services, onChange }: PartProps & { services: string[] }) {
  const at = useProblemsAt();
  return (
    <>
      <TextRow
        label="Name"
        path={[...path, "name"]}
        problems={at([...path, "name"])}
        value={entity.name}
        read={needed("An entity")}
        onCommit={(name) => onChange({ ...entity, name: String(name) }, `renamed to ${name}`)}
      />
      <TextRow
        label="Service"
        hint="Whose database has it."
        path={[...path, "service"]}
        problems={at([...path, "service"])}
        value={entity.service ?? ""}
        names={services}
        read={anyText}
        onCommit={(service) => onChange({ ...entity, service: String(service) }, "service")}
      />
      <TextRow
        label="Description"
        path={[...path, "description"]}
        problems={at([...path, "description"])}
        value={entity.description ?? ""}
        read={anyText}
        onCommit={(text) => onChange({ ...entity, description: String(text) }, "description")}
      />
    </>
  );
}

function FieldsTable({ entity, path, types, onChange }: PartProps & { types: string[] }) {
  const set = (at: number, part: Partial<Field>, what: string) =>
    onChange(
      { ...entity, fields: entity.fields.with(at, tidy({ ...entity.fields[at]!, ...part })) },
      what,
    );
  return (
    <Table
      title="Fields"
      path={[...path, "fields"]}
      columns={["Name", "Type", "Key", "Optional", "Description"]}
      add="Field"
      onAdd={() => onChange(addField(entity, types), "field added")}
    >
      {entity.fields.map((field, at) => (
        <FieldLine
          key={at}
          {...{ field, types }}
          path={[...path, "fields", at]}
          onSet={(part, what) => set(at, part, `${field.name}: ${what}`)}
          onRemove={() =>
            onChange({ ...entity, fields: entity.fields.toSpliced(at, 1) }, `${field.name} removed`)
          }
        />
      ))}
    </Table>
  );
}

function FieldLine(props: {
  field: Field;
  path: Path;
  types: string[];
  onSet(part: Partial<Field>, what: string): void;
  onRemove(): void;
}) {
  const { field, path, types, onSet, onRemove } = props;
  const at = useProblemsAt();
  const told = useId();
  const of = (word: string) => ({
    label: `${word} of ${field.name || "the field"}`,
    hideLabel: true,
    told,
    path: [...path, word.toLowerCase()],
    problems: at([...path, word.toLowerCase()]),
  });
  const choices = [...new Set([...types, field.type])].map((type) => ({
    value: type,
    label: type,
  }));
  return (
    <>
      <tr data-path={path.join(".")}>
        <td>
          <TextRow
            {...of("Name")}
            value={field.name}
            read={needed("A field")}
            onCommit={(name) => onSet({ name: String(name) }, `renamed to ${name}`)}
          />
        </td>
        <td>
          <ChoiceRow
            {...of("Type")}
            value={field.type}
            choices={choices}
            onChoose={(type) => onSet({ type }, type)}
          />
        </td>
        <td>
          <TickRow
            {...of("Key")}
            checked={field.key ?? false}
            onTick={(key) => onSet({ key }, "key")}
          />
        </td>
        <td>
          <TickRow
            {...of("Optional")}
            checked={field.optional ?? false}
            onTick={(optional) => onSet({ optional }, "optional")}
          />
        </td>
        <td>
          <TextRow
            {...of("Description")}
            value={field.description ?? ""}
            read={anyText}
            onCommit={(text) => onSet({ description: String(text) }, "description")}
          />
        </td>
        <RemoveCell name={field.name || "the field"} onRemove={onRemove} />
      </tr>
      <ProblemLine id={told} problems={at(path)} columns={6} />
    </>
  );
}

function RelationsTable({ entity, path, others, onChange }: PartProps & { others: string[] }) {
  const to = others.find((name) => name !== entity.name) ?? entity.name;
  const set = (at: number, part: Partial<Relation>, what: string) =>
    onChange(
      { ...entity, relations: entity.relations.with(at, { ...entity.relations[at]!, ...part }) },
      what,
    );
  return (
    <Table
      title="Relations"
      path={[...path, "relations"]}
      columns={["Name", "Leads to", "How many"]}
      add="Relation"
      onAdd={() => onChange(addRelation(entity, to), "relation added")}
    >
      {entity.relations.map((relation, at) => (
        <RelationLine
          key={at}
          {...{ relation, others }}
          path={[...path, "relations", at]}
          onSet={(part, what) => set(at, part, `${relation.name}: ${what}`)}
          onRemove={() =>
            onChange(
              { ...entity, relations: entity.relations.toSpliced(at, 1) },
              `${relation.name} removed`,
            )
          }
        />
      ))}
    </Table>
  );
}

function RelationLine(props: {
  relation: Relation;
  path: Path;
  others: string[];
  onSet(part: Partial<Relation>, what: string): void;
  onRemove(): void;
}) {
  const { relation, path, others, onSet, onRemove } = props;
  const at = useProblemsAt();
  const told = useId();
  const of = (label: string, key: string) => ({
    label: `${label} of ${relation.name || "the relation"}`,
    hideLabel: true,
    told,
    path: [...path, key],
    problems: at([...path, key]),
  });
  const choices = [...new Set([...others, relation.to])].map((name) => ({
    value: name,
    label: name,
  }));
  return (
    <>
      <tr data-path={path.join(".")}>
        <td>
          <TextRow
            {...of("Name", "name")}
            value={relation.name}
            read={needed("A relation")}
            onCommit={(name) => onSet({ name: String(name) }, `renamed to ${name}`)}
          />
        </td>
        <td>
          <ChoiceRow
            {...of("Target", "to")}
            value={relation.to}
            choices={choices}
            onChoose={(to) => onSet({ to }, `leads to ${to}`)}
          />
        </td>
        <td>
          <ChoiceRow
            {...of("Number", "kind")}
            value={relation.kind}
            choices={[
              { value: "one", label: "one" },
              { value: "many", label: "many" },
            ]}
            onChoose={(kind) => onSet({ kind: kind as Relation["kind"] }, kind)}
          />
        </td>
        <RemoveCell name={relation.name || "the relation"} onRemove={onRemove} />
      </tr>
      <ProblemLine id={told} problems={at(path)} columns={4} />
    </>
  );
}

function Table(props: {
  title: string;
  path: Path;
  columns: string[];
  add: string;
  onAdd: () => void;
  children: React.ReactNode[];
}) {
  const id = useId();
  return (
    <div className="sk-table" role="group" aria-labelledby={id} data-path={props.path.join(".")}>
      <h4 id={id}>{props.title}</h4>
      {props.children.length > 0 && (
        <table aria-labelledby={id}>
          <thead>
            <tr>
              {props.columns.map((column) => (
                <th key={column} scope="col">
                  {column}
                </th>
              ))}
              <td />
            </tr>
          </thead>
          <tbody>{props.children}</tbody>
        </table>
      )}
      <button
        type="button"
        className="sk-button"
        aria-label={`Add a ${props.add.toLowerCase()}`}
        onClick={props.onAdd}
      >
        <span aria-hidden="true">+</span> {props.add}
      </button>
    </div>
  );
}

/** What is wrong with the line above, in the whole width of the table. */
function ProblemLine(props: { id: string; problems: Problem[]; columns: number }) {
  if (props.problems.length === 0) return null;
  return (
    <tr>
      <td colSpan={props.columns}>
        <Problems id={props.id} problems={props.problems} />
      </td>
    </tr>
  );
}

function RemoveCell({ name, onRemove }: { name: string; onRemove: () => void }) {
  return (
    <td>
      <button
        type="button"
        className="sk-icon-button"
        aria-label={`Remove ${name}`}
        title={`Remove ${name}`}
        onClick={onRemove}
      >
        <span aria-hidden="true">×</span>
      </button>
    </td>
  );
}

function ErPicture({ picture, model }: { picture: string; model: DataModel }) {
  if (model.entities.length === 0) {
    return (
      <p className="sk-muted">
        No entities yet. Add what your services store, an order with its lines for instance: the
        picture, the input&rsquo;s schema and the database models come of it.
      </p>
    );
  }
  if (!picture) return null;
  return (
    <figure className="sk-picture">
      <img
        src={`data:image/svg+xml;charset=utf-8,${encodeURIComponent(picture)}`}
        alt={told(model)}
      />
    </figure>
  );
}

/** The picture in words. */
function told({ entities }: DataModel): string {
  const parts = entities.map(({ name, service, fields, relations }) => {
    const links = relations.map(({ to, kind }) => `${kind} ${to}`).join(", ");
    const has = fields.map((field) => field.name).join(", ");
    const of = service ? ` of ${service}` : "";
    return `${name}${of} has ${has || "no fields"}${links ? `; leads to ${links}` : ""}`;
  });
  return `Entity-relationship diagram. ${parts.join(". ")}.`;
}
