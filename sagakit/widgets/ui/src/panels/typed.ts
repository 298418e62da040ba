import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import type { Json } from "../protocol";
import type { Read } from "./values";

/**
 * Text that is being typed: read at every change, given away when it is left or Enter is pressed.
 * What cannot be read stays in the field, with what is wrong with it, and is given to nobody.
 */
export function useTyped(
  shown: string,
  read: (text: string) => Read,
  commit: (value: Json | undefined) => void,
  breaks = false, // Enter begins a new line; Ctrl+Enter gives the text away
) {
  const [typed, setTyped] = useState<string | null>(null);
  const found = typed === null ? undefined : read(typed);
  const error = found && "error" in found ? found.error : "";

  function settle() {
    if (typed === null || !found || "error" in found) return;
    setTyped(null);
    if (typed !== shown) commit(found.value);
  }

  // a field that goes while it is typed in (another step was clicked) gives its text away too
  const last = useRef(settle);
  last.current = settle;
  useEffect(() => () => last.current(), []);

  function onKeyDown(event: KeyboardEvent) {
    if (event.key === "Enter" && (!breaks || event.ctrlKey || event.metaKey)) {
      settle();
      event.preventDefault();
    } else if (event.key === "Escape" && typed !== null) {
      setTyped(null); // back to what it was; the next Escape is for whoever is around the field
      event.stopPropagation();
    }
  }

  return {
    error,
    control: {
      value: typed ?? shown,
      onChange: (event: { target: { value: string } }) => setTyped(event.target.value),
      onBlur: settle,
      onKeyDown,
    },
  };
}
