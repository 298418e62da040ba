/** Tabs and tools: one stop of the Tab key each, arrow keys inside. */
import { useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { Icon } from "./icons";

/** Moves the focus among the buttons of a bar by arrow keys, Home and End. */
function useRoving() {
  const bar = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState(0);
  const onKeyDown = (event: KeyboardEvent) => {
    const buttons = [
      ...(bar.current?.querySelectorAll<HTMLElement>("button:not(:disabled)") ?? []),
    ];
    const now = buttons.indexOf(document.activeElement as HTMLElement);
    const next = {
      ArrowRight: (now + 1) % buttons.length,
      ArrowLeft: (now - 1 + buttons.length) % buttons.length,
      Home: 0,
      End: buttons.length - 1,
    }[event.key];
    if (next === undefined || now < 0) return;
    event.preventDefault();
    event.stopPropagation();
    buttons[next]!.focus();
  };
  return { bar, at, setAt, onKeyDown };
}

export interface Tool {
  name: string;
  label: string;
  keys?: string; // its shortcut, for the tooltip
  does(): void;
  off?: boolean;
  pressed?: boolean;
}

export function Toolbar({ tools }: { tools: (Tool | null)[] }) {
  const { bar, at, setAt, onKeyDown } = useRoving();
  return (
    <div ref={bar} className="sk-toolbar" role="toolbar" aria-label="Tools" onKeyDown={onKeyDown}>
      {tools.map((tool, i) =>
        tool === null ? (
          <span key={i} className="sk-gap" />
        ) : (
          <button
            key={tool.name}
            type="button"
            className="sk-tool"
            title={tool.keys ? `${tool.label} (${tool.keys})` : tool.label}
            aria-label={tool.label}
            // not `disabled`: a disabled button loses the focus, and cannot be found by keyboard
            aria-disabled={tool.off || undefined}
            aria-expanded={tool.pressed}
            tabIndex={i === at ? 0 : -1}
            onFocus={() => setAt(i)}
            onClick={() => tool.off || tool.does()}
          >
            <Icon name={tool.name} />
          </button>
        ),
      )}
    </div>
  );
}

export interface Tab {
  name: string;
  label: string;
  extra?: ReactNode;
}

interface TabsProps {
  id: string;
  tabs: Tab[];
  open: string;
  onOpen(name: string): void;
}

export function Tabs({ id, tabs, open, onOpen }: TabsProps) {
  const { bar, onKeyDown } = useRoving();
  return (
    <div
      ref={bar}
      className="sk-tabs"
      role="tablist"
      aria-label="Views of the saga"
      onKeyDown={onKeyDown}
    >
      {tabs.map(({ name, label, extra }) => (
        <button
          key={name}
          id={`${id}-tab-${name}`}
          type="button"
          role="tab"
          aria-selected={name === open}
          aria-controls={`${id}-panel-${name}`}
          tabIndex={name === open ? 0 : -1}
          onFocus={() => onOpen(name)}
          onClick={() => onOpen(name)}
        >
          {label}
          {extra}
        </button>
      ))}
    </div>
  );
}
