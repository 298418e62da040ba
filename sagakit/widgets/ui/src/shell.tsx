/** What every widget has around it: the theme, keys kept from the notebook, a grip for its height. */
import {
  useRef,
  type FocusEvent,
  type KeyboardEvent,
  type PointerEvent,
  type ReactNode,
} from "react";
import { Icon } from "./icons";

/**
 * JupyterLab reads keys before the widget does, and `d d` deletes a cell. It leaves alone what is
 * marked so; the mark counts on the very element that has the focus, not on what is around it.
 */
export function keepKeys(event: FocusEvent | KeyboardEvent): void {
  (event.target as Element).setAttribute?.("data-lm-suppress-shortcuts", "true");
}

/** Says that the kernel is gone, what is still here in spite of it, and offers what can be done. */
export function Restarted({ kept, children }: { kept: string; children?: ReactNode }) {
  return (
    <div className="sk-banner" role="alert">
      <Icon name="warning" />
      <span>The kernel has restarted: run the cell again. {kept}</span>
      {children}
    </div>
  );
}

const HEIGHT = { least: 320, most: 1600, step: 40 };

/** Makes the widget higher or lower, by mouse or by arrow keys. */
export function Grip({
  of,
  height,
  onHeight,
}: {
  of: string;
  height: number;
  onHeight(height: number): void;
}) {
  const start = useRef<{ y: number; height: number } | null>(null);
  const set = (wanted: number) => onHeight(Math.min(Math.max(wanted, HEIGHT.least), HEIGHT.most));
  const onKeyDown = (event: KeyboardEvent) => {
    const by = { ArrowDown: HEIGHT.step, ArrowUp: -HEIGHT.step }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    set(height + by);
  };
  const onPointerDown = (event: PointerEvent<HTMLDivElement>) => {
    event.currentTarget.setPointerCapture(event.pointerId);
    start.current = { y: event.clientY, height };
  };
  return (
    <div
      className="sk-grip"
      role="separator"
      tabIndex={0}
      aria-orientation="horizontal"
      aria-label={`Height of the ${of}`}
      aria-valuenow={height}
      aria-valuemin={HEIGHT.least}
      aria-valuemax={HEIGHT.most}
      title={`Drag to make the ${of} higher or lower`}
      onKeyDown={onKeyDown}
      onPointerDown={onPointerDown}
      onPointerMove={(event) =>
        start.current && set(start.current.height + event.clientY - start.current.y)
      }
      onPointerUp={() => (start.current = null)}
    />
  );
}
