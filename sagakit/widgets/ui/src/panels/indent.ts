/** The keys of the YAML text: Enter keeps the indentation, Ctrl+] and Ctrl+[ change it. */
import type { KeyboardEvent } from "react";

const STEP = "  ";

/** Whether the key was one of these; the text has changed then, in a way that the browser undoes. */
export function indented(event: KeyboardEvent<HTMLTextAreaElement>): boolean {
  const area = event.currentTarget;
  const held = event.ctrlKey || event.metaKey;
  if (event.key === "Enter" && !held && !event.shiftKey && !event.altKey) {
    return type(`\n${indentAt(area.value, area.selectionStart)}`);
  }
  if (!held || (event.key !== "]" && event.key !== "[")) return false;
  const shift = event.key === "]" ? indent : outdent;
  const { selectionStart, selectionEnd, value } = area;
  const from = value.lastIndexOf("\n", selectionStart - 1) + 1;
  const end = value.indexOf("\n", Math.max(selectionStart, selectionEnd - 1));
  const to = end < 0 ? value.length : end;
  const lines = value.slice(from, to).split("\n");
  const moved = lines.map(shift);
  if (moved.join("\n") === lines.join("\n")) return true;
  area.setSelectionRange(from, to);
  type(moved.join("\n"));
  const first = moved[0]!.length - lines[0]!.length;
  const all = moved.join("\n").length - lines.join("\n").length;
  area.setSelectionRange(
    Math.max(from, selectionStart + first),
    Math.max(from, selectionEnd + all),
  );
  return true;
}

/** The spaces that the next line begins with; an entry of a list or an opened mapping goes deeper. */
export function indentAt(text: string, position: number): string {
  const line = text.slice(text.lastIndexOf("\n", position - 1) + 1, position);
  const [, spaces, dash] = /^( *)(- )?/.exec(line)!;
  const deeper = /:\s*$/.test(line) ? STEP : "";
  return spaces! + (dash ? STEP : "") + deeper;
}

export const indent = (line: string) => (line.trim() ? STEP + line : line);
export const outdent = (line: string) => line.replace(/^ {1,2}/, "");

/** Typed for the user. Old, but alone in being undone by Ctrl+Z like what was typed by hand. */
function type(text: string): boolean {
  return document.execCommand("insertText", false, text);
}
