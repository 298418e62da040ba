/** What the widgets that watch have in common around their picture: root, line above, keys, sheets. */
import type { KeyboardEvent, ReactNode, Ref } from "react";
import { Icon } from "../icons";
import { KeyList, Sheet } from "../sheets";
import { Grip, keepKeys } from "../shell";
import { useTheme } from "../theme";
import type { Legend } from "../watching";
import { LegendSheet } from "./legend";

interface RootProps {
  of: string; // "player": what the grip makes higher
  height: number;
  onHeight(height: number): void;
  isFree?: boolean; // the height is that of a part; the whole is as high as it must be
  hasGrip?: boolean;
  className?: string;
  waits?: boolean;
  ref?: Ref<HTMLDivElement>;
  onKeyDown?(event: KeyboardEvent): void;
  children: ReactNode;
}

/** The element that all of a widget is in. */
export function Root(props: RootProps) {
  const { of, height, onHeight, isFree = false, hasGrip = true, waits, ref, children } = props;
  return (
    <div
      ref={ref}
      className={["sk-root sk-watch", props.className].filter(Boolean).join(" ")}
      data-theme={useTheme()}
      style={isFree ? undefined : { height }}
      tabIndex={-1}
      onFocusCapture={keepKeys}
      onKeyDownCapture={keepKeys}
      onKeyDown={props.onKeyDown}
      data-waits={waits || undefined}
    >
      {children}
      {hasGrip && (
        <div className="sk-foot">
          <Grip of={of} height={height} onHeight={onHeight} />
        </div>
      )}
    </div>
  );
}

export type SheetName = "legend" | "keys" | null;

interface HeadProps {
  title: string;
  note?: string;
  sheet: SheetName;
  onSheet(sheet: SheetName): void;
  left?: ReactNode; // beside the title
  children?: ReactNode; // before the buttons of the sheets
}

/** The line above the picture. */
export function Head({ title, note, sheet, onSheet, left, children }: HeadProps) {
  const opens = (name: "legend" | "keys", label: string, key: string, icon: string) => (
    <button
      type="button"
      className="sk-tool"
      aria-label={label}
      title={`${label} (${key})`}
      aria-expanded={sheet === name}
      onClick={() => onSheet(name)}
    >
      <Icon name={icon} />
    </button>
  );
  return (
    <div className="sk-head">
      <h2 className="sk-title" title={title}>
        {title}
        {note && <span className="sk-hint"> {note}</span>}
      </h2>
      {left}
      <span className="sk-room" />
      {children}
      {opens("legend", "Legend", "L", "legend")}
      {opens("keys", "Keys", "?", "help")}
    </div>
  );
}

interface HeadSheetProps {
  sheet: SheetName;
  onSheet(sheet: SheetName): void;
  legend: Legend;
  keys: [string, string][];
}

/** The sheet that is open, over the picture. */
export function HeadSheet({ sheet, onSheet, legend, keys }: HeadSheetProps) {
  const close = () => onSheet(null);
  if (sheet === "legend") return <LegendSheet legend={legend} onClose={close} />;
  if (sheet !== "keys") return null;
  const all: [string, string][] = [...keys, ["L", "the legend"], ["?", "this sheet"]];
  return (
    <Sheet label="Keys" className="sk-help" onClose={close}>
      {/* the focus is here, so that arrow keys scroll */}
      <div className="sk-keys" data-first tabIndex={0} role="group" aria-label="Every key">
        <KeyList keys={all} />
      </div>
    </Sheet>
  );
}

/** Does what a key stands for, unless it is typed into a field or means something to the browser. */
export function onKeys(
  event: KeyboardEvent,
  onSheet: (sheet: SheetName) => void,
  does: Record<string, () => void> = {},
): void {
  const isTyping =
    event.target instanceof Element &&
    event.target.closest("input:not([type=range]), textarea, select, [role=dialog]");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const all: Record<string, () => void> = {
    "?": () => onSheet("keys"),
    l: () => onSheet("legend"),
    ...does,
  };
  const found = all[event.key] ?? all[event.key.toLowerCase()];
  if (!found) return;
  event.preventDefault();
  event.stopPropagation();
  found();
}
