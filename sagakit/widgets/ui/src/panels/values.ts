/** Values as text and back, and values within values. What cannot be read is never made into one. */
import type { Json, Path } from "../protocol";
import { isMapping, type Shape } from "./schema";

/** A value that was read, or what is wrong with the text and how to mend it. */
export type Read = { value: Json | undefined } | { error: string };

/** What a person typed for an option of this shape. Nothing typed: the option is left out. */
export function parse(one: Shape | undefined, text: string): Read {
  if (text.trim() === "") return { value: undefined };
  if (one?.kind === "number") return parseNumber(one, text.trim());
  if (one?.kind === "text") return parseText(one, text);
  if (one?.kind === "words") {
    return one.values.includes(text)
      ? { value: text }
      : { error: `is not one of ${one.values.join(", ")}; choose one of them` };
  }
  return parseJson(text);
}

function parseNumber(one: Shape & { kind: "number" }, text: string): Read {
  if (!/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text)) {
    const comma = /^\d+,\d+$/.test(text) ? text.replace(",", ".") : one.whole ? "3" : "2.5";
    return { error: `“${text}” is not a number; give one such as ${comma}` };
  }
  const value = Number(text);
  if (!Number.isFinite(value)) return { error: `${text} is too large; give a smaller number` };
  if (one.whole && !Number.isInteger(value)) {
    return { error: `${text} is not a whole number; give one such as ${Math.round(value)}` };
  }
  if (one.least !== undefined && value < one.least) {
    return { error: `${text} is too small; give ${one.least} or more` };
  }
  if (one.most !== undefined && value > one.most) {
    return { error: `${text} is too large; give ${one.most} or less` };
  }
  return { value };
}

function parseText(one: Shape & { kind: "text" }, text: string): Read {
  if (one.pattern === undefined || new RegExp(one.pattern, "u").test(text)) return { value: text };
  return { error: `“${text}” has not the form that is needed: ${one.pattern}` };
}

/** JSON; or text, where it begins like no other JSON value. */
function parseJson(text: string): Read {
  const given = text.trim();
  try {
    return { value: JSON.parse(given) as Json };
  } catch (error) {
    if (/^[[{"]/.test(given)) return { error: `is not JSON yet: ${place(error, given)}` };
    return { value: given };
  }
}

/** A mapping written as JSON, such as an input's schema. */
export function parseMapping(text: string): Read {
  const read = text.trim() === "" ? { value: undefined } : parseJson(text);
  if ("error" in read || read.value === undefined || isMapping(read.value)) return read;
  return { error: 'is not a JSON object; begin with {, for instance {"type": "object"}' };
}

/** Where JSON stops being JSON: in lines, where the browser counts characters; else in its words. */
function place(error: unknown, text: string): string {
  const message = String((error as Error).message).replace(/^JSON\.parse: /, "");
  const at = /position (\d+)/.exec(message);
  if (at) {
    const before = text.slice(0, Number(at[1])).split("\n");
    return `line ${before.length}, column ${before.at(-1)!.length + 1} is not what belongs there`;
  }
  if (/end of/.test(message)) return "it ends too early; close what is open";
  const said = message.split(", ")[0]!;
  return said.charAt(0).toLowerCase() + said.slice(1);
}

/** A value as it is shown in a field, so that `parse` gives it back. */
export function format(one: Shape | undefined, value: Json | undefined): string {
  if (value === undefined) return "";
  if (typeof value === "number" && one?.kind === "number") return String(value);
  if (typeof value === "string") {
    const free = one === undefined || one.kind === "any";
    const read = free ? parseJson(value) : undefined;
    const same = !read || ("value" in read && read.value === value);
    return same ? value : JSON.stringify(value);
  }
  if (value === null) return one?.kind === "any" ? "null" : "";
  return JSON.stringify(value, null, 2);
}

/** Many seconds in words: 5400 -> "1 h 30 min"; fewer than a minute need none. */
export function duration(seconds: Json | undefined): string {
  if (typeof seconds !== "number" || seconds <= 60 || !Number.isInteger(seconds)) return "";
  const units = [
    [86400, "d"],
    [3600, "h"],
    [60, "min"],
    [1, "s"],
  ] as const;
  let left = seconds;
  const parts = units.map(([size, unit]) => {
    const count = Math.floor(left / size);
    left -= count * size;
    return count ? `${count} ${unit}` : "";
  });
  return parts.filter(Boolean).join(" ");
}

/** The value with `part` at `path`; a part that is undefined is taken out. */
export function put<T>(value: T, path: Path, part: Json | undefined): T {
  const [key, ...rest] = path;
  if (key === undefined) return part as T;
  if (Array.isArray(value)) {
    const copy = [...value];
    if (rest.length === 0 && part === undefined) copy.splice(key as number, 1);
    else copy[key as number] = put(copy[key as number] ?? {}, rest, part);
    return copy as T;
  }
  const { [key]: before, ...others } = (value ?? {}) as { [key: string]: Json };
  if (rest.length === 0 && part === undefined) return others as T;
  const after = put((before ?? {}) as Json, rest, part);
  // spread first, so that a key that was there keeps its place
  return { ...(value as object), [key]: after } as T;
}

export function get(value: unknown, path: Path): Json | undefined {
  return path.reduce<unknown>(
    (node, key) => (node as { [key: string]: unknown } | null | undefined)?.[key],
    value,
  ) as Json | undefined;
}

/** Whether two pieces of plain data are the same; the order of keys does not matter. */
export function same(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((item, at) => same(item, other[at]));
  }
  if (!isMapping(one) || !isMapping(other)) return false;
  const keys = Object.keys(one);
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => key in other && same(one[key], other[key]))
  );
}
