import type { Path } from "../protocol";

/**
 * Focuses the field that a path leads to, or the nearest around it, and unfolds what it stands in.
 *
 * @param root where the forms are.
 * @param path from the step or the saga that the form is for.
 * @returns whether there is such a field.
 */
export function focusField(root: Element, path: Path): boolean {
  for (let length = path.length; length > 0; length--) {
    const place = CSS.escape(path.slice(0, length).join("."));
    const field = root.querySelector(`[data-path="${place}"]`);
    if (!field) continue;
    for (let box = field.closest("details"); box; box = box.parentElement!.closest("details")) {
      box.open = true;
    }
    if (focusFirst(field)) return true;
  }
  return false;
}

/** Focuses the first field in a box; where there is none, its first button. */
export function focusFirst(box: Element): boolean {
  const find = (what: string) => box.querySelector<HTMLElement>(what);
  const control = find("input, select, textarea") ?? find("button");
  control?.focus();
  control?.scrollIntoView({ block: "nearest" });
  return control !== null;
}
