import { useLayoutEffect, useRef, type FocusEvent, type ReactNode } from "react";
import { focusField, focusFirst } from "./focus";

/**
 * Keeps the focus near where it was when what had it is gone, as a button is that has removed its
 * own field: the next key would go to the notebook, and a screen reader would begin at its top.
 */
export function KeptFocus({ children }: { children: ReactNode }) {
  const box = useRef<HTMLDivElement>(null);
  const last = useRef<{ element: Element; place: string } | null>(null);
  useLayoutEffect(() => {
    if (!last.current || last.current.element.isConnected) return;
    const { place } = last.current;
    last.current = null;
    if (document.activeElement !== document.body) return; // it has been put elsewhere since
    const [root, path] = [box.current!, place.split(".")];
    if (!focusField(root, path) && !focusFirst(root)) root.focus(); // there is nothing else
  });
  const note = ({ target }: FocusEvent) => {
    const place = target.closest<HTMLElement>("[data-path]")?.dataset.path ?? "";
    last.current = { element: target, place };
  };
  return (
    <div ref={box} tabIndex={-1} onFocusCapture={note}>
      {children}
    </div>
  );
}
