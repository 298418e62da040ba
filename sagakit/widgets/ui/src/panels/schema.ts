/**
 * What the JSON Schema of the YAML form says of an option, in the terms of a form: a label, a hint,
 * and the shapes that its value can have. Nothing here knows an option by name.
 */
import type { Json } from "../protocol";

export type Schema = { readonly [key: string]: Json };

/** One way an option can be written. */
export type Shape =
  | { kind: "null" }
  | { kind: "boolean" }
  | { kind: "text"; pattern?: string }
  | { kind: "number"; whole: boolean; least?: number; most?: number }
  | { kind: "words"; values: Json[] } // one of a few
  | { kind: "list"; item: Schema }
  | { kind: "row"; items: Schema[] } // a list of a fixed length
  | { kind: "map"; item: Schema } // any keys, values of one kind
  | { kind: "struct"; name: string; title: string; about: string; schema: Schema }
  | { kind: "any" }; // free JSON

export interface Option {
  key: string;
  label: string;
  hint: string;
  unit: string;
  required: boolean;
  fallback: Json | undefined; // the schema's default: what holds where the option is left out
  schema: Schema;
  shapes: Shape[]; // without null
}

/** `$ref`s followed, what stands beside them kept; the name of the last one. */
export function resolve(root: Schema, schema: Schema): { schema: Schema; name: string } {
  let name = "";
  let found = schema;
  for (let depth = 0; typeof found.$ref === "string" && depth < 20; depth++) {
    const { $ref, ...beside } = found;
    const parts = ($ref as string).split("/").slice(1);
    const target = parts.reduce<Json>(
      (node, part) => (node as Schema)?.[part.replaceAll("~1", "/").replaceAll("~0", "~")] ?? {},
      root as Json,
    );
    name = parts.at(-1) ?? "";
    found = { ...(target as Schema), ...beside };
  }
  return { schema: found, name };
}

/** The ways a value can be written, `null` among them where the schema has it. */
export function shapes(root: Schema, schema: Schema): Shape[] {
  const { schema: found, name } = resolve(root, schema);
  const several = found.anyOf ?? found.oneOf;
  if (Array.isArray(several)) {
    return merged(several.flatMap((one) => shapes(root, one as Schema)));
  }
  if (Array.isArray(found.type)) {
    return merged(found.type.flatMap((type) => shapes(root, { ...found, type })));
  }
  return [shape(found, name)];
}

function shape(schema: Schema, name: string): Shape {
  if ("const" in schema) return { kind: "words", values: [schema.const as Json] };
  if (Array.isArray(schema.enum)) return { kind: "words", values: schema.enum };
  switch (schema.type) {
    case "null":
      return { kind: "null" };
    case "boolean":
      return { kind: "boolean" };
    case "string":
      return { kind: "text", pattern: schema.pattern as string | undefined };
    case "integer":
    case "number":
      return {
        kind: "number",
        whole: schema.type === "integer",
        least: schema.minimum as number | undefined,
        most: schema.maximum as number | undefined,
      };
    case "array":
      return Array.isArray(schema.prefixItems)
        ? { kind: "row", items: schema.prefixItems as Schema[] }
        : { kind: "list", item: (schema.items ?? {}) as Schema };
    case "object":
      return mapping(schema, name);
    default:
      return { kind: "any" };
  }
}

function mapping(schema: Schema, name: string): Shape {
  if (schema.properties) {
    const title = words((schema.title as string) ?? name);
    return { kind: "struct", name, title, about: lead(schema.description), schema };
  }
  const item = schema.additionalProperties;
  return { kind: "map", item: item && typeof item === "object" ? (item as Schema) : {} };
}

/** A number that may also be written as text is text; of two lists of words one is made. */
function merged(found: Shape[]): Shape[] {
  const several = found.some((one) => one.kind === "struct");
  const isText = !several && found.some((one) => one.kind === "text");
  const values = found.flatMap((one) => (one.kind === "words" ? one.values : []));
  const rest = found.filter((one) => one.kind !== "words" && !(isText && one.kind === "number"));
  const list: Shape[] = values.length ? [{ kind: "words", values }, ...rest] : rest;
  return list.filter((one, at) => {
    const same = (other: Shape) => JSON.stringify(other) === JSON.stringify(one);
    return list.findIndex(same) === at;
  });
}

/** The options of a struct, in the schema's order. What can have but one value is not asked for. */
export function options(root: Schema, struct: Schema): Option[] {
  const { schema } = resolve(root, struct);
  const required = new Set((schema.required as string[]) ?? []);
  return Object.entries((schema.properties ?? {}) as Record<string, Schema>)
    .filter(([, one]) => !isFixed(resolve(root, one).schema))
    .map(([key, one]) => option(root, key, one, required.has(key)));
}

export function option(root: Schema, key: string, schema: Schema, required: boolean): Option {
  const found = resolve(root, schema).schema;
  const ways = shapes(root, schema).filter((one) => one.kind !== "null");
  const only = ways.length === 1 ? ways[0] : undefined;
  const said = annotation(schema, "description") ?? (found.description as string) ?? "";
  return {
    key,
    label: annotation(schema, "title") ?? words(key),
    hint: said ? sentence(lead(said)) : only?.kind === "struct" ? only.about : "",
    unit:
      ways.some((one) => one.kind === "number") && /^seconds\b|\bin seconds\b/i.test(said)
        ? "s"
        : "",
    required,
    fallback: "default" in found ? (found.default as Json) : undefined,
    schema,
    shapes: ways,
  };
}

/** What the schema says of the option itself, not of a struct that it may be. */
function annotation(schema: Schema, word: "title" | "description"): string | undefined {
  const ways = (schema.anyOf ?? schema.oneOf ?? []) as Schema[];
  return [schema, ...ways].map((one) => one[word]).find((text) => typeof text === "string") as
    string | undefined;
}

/** Whether a struct's key says only which struct it is: a tag. */
export function isFixed(schema: Schema): boolean {
  return "const" in schema || (Array.isArray(schema.enum) && schema.enum.length === 1);
}

/** The shape that a value is written in, or undefined: it fits none. */
export function fitting(root: Schema, ways: Shape[], value: Json | undefined): Shape | undefined {
  if (value === undefined || value === null) return undefined;
  const ranked = ways
    .map((one) => ({ one, rank: rank(root, one, value) }))
    .filter(({ rank }) => rank > -Infinity)
    .sort((a, b) => b.rank - a.rank);
  return ranked[0]?.one;
}

function rank(root: Schema, one: Shape, value: Json): number {
  const fits = (is: boolean, sure = 2) => (is ? sure : -Infinity);
  switch (one.kind) {
    case "null":
      return -Infinity;
    case "boolean":
      return fits(typeof value === "boolean");
    case "text":
      return fits(typeof value === "string");
    case "number":
      return fits(typeof value === "number", one.whole && Number.isInteger(value) ? 3 : 2);
    case "words":
      return fits(one.values.includes(value), 3);
    case "list":
    case "row":
      return fits(Array.isArray(value));
    case "map":
      return fits(isMapping(value), 1);
    case "any":
      return 0;
    case "struct":
      return isMapping(value) ? likeness(root, one.schema, value) : -Infinity;
  }
}

/** How much a mapping looks like a struct: its keys, and the tag that only this struct has. */
function likeness(root: Schema, struct: Schema, value: { [key: string]: Json }): number {
  const properties = (struct.properties ?? {}) as Record<string, Schema>;
  let found = 2;
  for (const [key, schema] of Object.entries(properties)) {
    const known = resolve(root, schema).schema;
    if (isFixed(known)) {
      const tag = "const" in known ? known.const : (known.enum as Json[])[0];
      if (value[key] !== tag) return -Infinity;
      found += 10;
    }
  }
  const lacks = ((struct.required as string[]) ?? []).filter((key) => !(key in value)).length;
  const unknown = Object.keys(value).filter((key) => !(key in properties)).length;
  return found + Object.keys(value).length - 3 * unknown - 2 * lacks;
}

/** A value to begin with, that has all that is required. */
export function initial(root: Schema, one: Shape): Json {
  switch (one.kind) {
    case "null":
    case "any":
      return null;
    case "boolean":
      return true;
    case "text":
      return "";
    case "number":
      return Math.max(1, one.least ?? 1);
    case "words":
      return one.values[0] ?? null;
    case "list":
      return [];
    case "row":
      return one.items.map((item) => first(root, item));
    case "map":
      return {};
    case "struct": {
      const properties = one.schema.properties as Record<string, Schema>;
      const needed = new Set((one.schema.required as string[]) ?? []);
      const tags = Object.keys(properties).filter((key) =>
        isFixed(resolve(root, properties[key]!).schema),
      );
      for (const tag of tags) needed.add(tag);
      return Object.fromEntries(
        Object.keys(properties)
          .filter((key) => needed.has(key))
          .map((key) => [key, first(root, properties[key]!)]),
      );
    }
  }
}

const first = (root: Schema, schema: Schema) => initial(root, shapes(root, schema)[0]!);

/** The value rewritten in another shape; a name is kept where both have one. */
export function rewritten(root: Schema, one: Shape, value: Json | undefined): Json {
  const fresh = initial(root, one);
  const name = typeof value === "string" ? value : isMapping(value) ? value.name : undefined;
  if (typeof name !== "string") return fresh;
  if (one.kind === "text") return name;
  return isStandIn(one) && name ? { ...(fresh as object), name } : fresh;
}

/** Whether this can stand for what is else given by its name. */
const isStandIn = (one: Shape) =>
  one.kind === "struct" && "name" in (one.schema.properties as object);

/** What a choice between several shapes calls one of them. */
export function wayName(one: Shape, ways: Shape[]): string {
  switch (one.kind) {
    case "struct":
      return one.title;
    case "text":
      return ways.some(isStandIn) ? "By name" : "Text";
    case "number":
      return "A number";
    case "boolean":
      return "Yes or no";
    case "words":
      return one.values.length === 1 ? String(one.values[0]) : "One of a few";
    case "list":
    case "row":
      return "A list";
    case "map":
      return "Names and values";
    case "any":
      return "Any value (JSON)";
    case "null":
      return "Nothing";
  }
}

/** `compensation_retry`, `CircuitBreaker` -> "Compensation retry", "Circuit breaker"; `WaitSpec` -> "Wait". */
export function words(name: string): string {
  const apart = name
    .replace(/Spec$/, "")
    .replace(/([a-z0-9])([A-Z])/g, (_, end, start) => `${end} ${start.toLowerCase()}`)
    .replaceAll("_", " ");
  return apart.charAt(0).toUpperCase() + apart.slice(1);
}

/** The first paragraph of a description, on one line. */
function lead(description: Json | undefined): string {
  return String(description ?? "")
    .split("\n\n")[0]!
    .split(/\s+/)
    .join(" ");
}

/** Begun as a sentence, where it begins with a word: `https://…` is none. */
const sentence = (text: string) =>
  text.replace(/^[a-z]+(?=[ ,;.]|: )/, (word) => word.charAt(0).toUpperCase() + word.slice(1));

export function isMapping(value: unknown): value is { [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
