/** Which problems belong to which field. */
import type { Path, Problem } from "../protocol";

export function startsWith(path: Path, beginning: Path): boolean {
  return beginning.every((key, at) => path[at] === key);
}

/** The problems of a place and of what is beneath it, but for the parts that show their own. */
export function problemsAt(problems: Problem[], path: Path, parts: (string | number)[] = []) {
  return problems.filter(
    (one) => startsWith(one.path, path) && !parts.includes(one.path[path.length]!),
  );
}

export const LEVELS: { level: Problem["level"]; one: string; several: string; icon: string }[] = [
  { level: "error", one: "error", several: "errors", icon: "⨯" },
  { level: "warning", one: "warning", several: "warnings", icon: "!" },
  { level: "note", one: "note", several: "notes", icon: "i" },
];

export const levelOf = (level: Problem["level"]) => LEVELS.find((one) => one.level === level)!;

/** "2 errors, 1 note" */
export function tally(problems: Problem[]): string {
  return LEVELS.map((one) => [problems.filter((p) => p.level === one.level).length, one] as const)
    .filter(([count]) => count > 0)
    .map(([count, one]) => `${count} ${count === 1 ? one.one : one.several}`)
    .join(", ");
}

/** ["steps", 2, "retry", "attempts"] -> "step charge › retry › attempts" */
export function placeName(path: Path, whole: unknown): string {
  const parts: string[] = [];
  let node: unknown = whole;
  for (let at = 0; at < path.length; at++) {
    const key = path[at]!;
    node = (node as Record<string | number, unknown> | null | undefined)?.[key];
    const next = path[at + 1];
    if (typeof next === "number" && typeof key === "string" && key.endsWith("s")) {
      const item = (node as unknown[] | undefined)?.[next] as Record<string, unknown> | undefined;
      const word = key.slice(0, -1);
      const name = item?.[word] ?? item?.name;
      parts.push(typeof name === "string" ? `${word} ${name}` : `${word} ${next + 1}`);
      node = item;
      at += 1;
    } else {
      parts.push(typeof key === "number" ? String(key + 1) : key.replaceAll("_", " "));
    }
  }
  return parts.join(" › ") || "the saga";
}
