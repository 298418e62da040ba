import { useEffect, useRef, useState } from "react";

/** Puts a text on the clipboard and says so. */
export function CopyButton({ text, what }: { text: string; what: string }) {
  const [said, setSaid] = useState("");
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("Copied");
    } catch {
      setSaid("The browser does not allow it; select the text and copy it"); // no permission, or no https
    }
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setSaid(""), 4000);
  }
  return (
    <>
      <button type="button" className="sk-button" aria-label={`Copy ${what}`} onClick={copy}>
        Copy
      </button>
      <span className="sk-muted" role="status">
        {said}
      </span>
    </>
  );
}

/** Saves a text as a file, where the browser keeps what it downloads. */
export function download(text: string, name: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}
