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
    const control = field?.querySelector<HTMLElement>("input, select, textarea, button");
    if (!field || !control) continue;
    for (let box = field.closest("details"); box; box = box.parentElement!.closest("details")) {
      box.open = true;
    }
    control.focus();
    control.scrollIntoView({ block: "nearest" });
    return true;
  }
  return false;
}
