/** What can be put on the canvas: dragged there, or by click or Enter after what is selected. */
import { memo, useMemo, useState } from "react";
import { Icon } from "./icons";
import type { PaletteEntry } from "./protocol";

/** What a dragged entry carries; other drags have another type and are left alone. */
export const DRAGGED = "application/x-sagakit-step";

const MANY = 14; // more entries than this can be searched

interface Props {
  entries: PaletteEntry[];
  onAdd(entry: PaletteEntry): void;
}

export const Palette = memo(function Palette({ entries, onAdd }: Props) {
  const [text, setText] = useState("");
  const groups = useMemo(() => grouped(entries, text), [entries, text]);
  return (
    <section className="sk-palette" aria-label="Palette: drag onto the canvas, or press Enter">
      {entries.length > MANY && (
        <input
          type="search"
          className="sk-input"
          placeholder="Find a part"
          aria-label="Find a part in the palette"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
      )}
      {[...groups].map(([group, items]) => (
        <div key={group} className="sk-palette-group" role="group" aria-label={group}>
          <h3>{group}</h3>
          {items.map((entry) => (
            <Part key={`${entry.label} ${entry.step.step}`} entry={entry} onAdd={onAdd} />
          ))}
        </div>
      ))}
    </section>
  );
});

function Part({ entry, onAdd }: { entry: PaletteEntry; onAdd(entry: PaletteEntry): void }) {
  return (
    <button
      type="button"
      className={`sk-part sk-part-${entry.icon}`}
      title={entry.title}
      draggable
      onDragStart={(event) => {
        event.dataTransfer.setData(DRAGGED, JSON.stringify(entry));
        event.dataTransfer.effectAllowed = "copy";
      }}
      onClick={() => onAdd(entry)}
    >
      <Icon name={entry.icon} />
      <span>{entry.label}</span>
    </button>
  );
}

function grouped(entries: PaletteEntry[], text: string): Map<string, PaletteEntry[]> {
  const wanted = text.trim().toLowerCase();
  const groups = new Map<string, PaletteEntry[]>();
  for (const entry of entries) {
    if (!`${entry.label} ${entry.title}`.toLowerCase().includes(wanted)) continue;
    groups.set(entry.group, [...(groups.get(entry.group) ?? []), entry]);
  }
  return groups;
}
