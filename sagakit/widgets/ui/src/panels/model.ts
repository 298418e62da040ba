/** What can be done to a data model, as pure functions: a model in, another one out. */
import type { DataModel, Entity, Field, Relation } from "../protocol";

export function addEntity(model: DataModel, service: string | undefined): DataModel {
  const name = fresh(
    model.entities.map((one) => one.name),
    "Entity",
  );
  const key: Field = { name: "id", type: "integer", key: true };
  const entity: Entity = { name, fields: [key], relations: [], ...(service ? { service } : {}) };
  return { ...model, entities: [...model.entities, entity] };
}

/** Without an entity, and without what leads to it. */
export function removeEntity(model: DataModel, at: number): DataModel {
  const gone = model.entities[at]!.name;
  const entities = model.entities.toSpliced(at, 1).map((one) => ({
    ...one,
    relations: one.relations.filter(({ to }) => to !== gone),
  }));
  return withInput({ ...model, entities }, model.input === gone ? undefined : model.input);
}

/** With another entity in its place; where it has another name, what leads to it follows. */
export function changeEntity(model: DataModel, at: number, entity: Entity): DataModel {
  const { name: old } = model.entities[at]!;
  const isFree = !model.entities.some((one, other) => other !== at && one.name === old);
  const follow = (name: string) => (isFree && name === old ? entity.name : name);
  const entities = model.entities.with(at, entity).map((one) => ({
    ...one,
    relations: one.relations.map((relation) => ({ ...relation, to: follow(relation.to) })),
  }));
  return withInput({ ...model, entities }, model.input && follow(model.input));
}

export function withInput({ input: _, ...model }: DataModel, input: string | undefined): DataModel {
  return input ? { ...model, input } : model;
}

export function addField(entity: Entity, types: string[]): Entity {
  const type = types.includes("text") ? "text" : (types[0] ?? "text");
  return { ...entity, fields: [...entity.fields, { name: fresh(taken(entity), "field"), type }] };
}

export function addRelation(entity: Entity, to: string): Entity {
  const many = { name: fresh(taken(entity), `${snake(to)}s`), to, kind: "many" } as Relation;
  return { ...entity, relations: [...entity.relations, many] };
}

const taken = ({ fields, relations }: Entity) => [...fields, ...relations].map((one) => one.name);

function fresh(taken: string[], wanted: string): string {
  if (!taken.includes(wanted)) return wanted;
  for (let n = 2; ; n += 1) if (!taken.includes(`${wanted}${n}`)) return `${wanted}${n}`;
}

const snake = (name: string) => name.replace(/(?<=[a-z0-9])([A-Z])/g, "_$1").toLowerCase();

/** Only what says something: an empty text or a "no" is left out, as the kernel does it. */
export function tidy<T extends object>(value: T): T {
  const said = Object.entries(value).filter(
    ([, part]) => part !== undefined && part !== "" && part !== false,
  );
  return Object.fromEntries(said) as T;
}
