/** The saga as Python: generated, to be read and copied. */
import type { PanelProps } from "../protocol";
import { CopyButton } from "./CopyButton";
import { PythonCode } from "./PythonCode";

export function PythonTab({ state }: PanelProps) {
  return (
    <section className="sk-panel sk-fill" aria-label="Python">
      <div className="sk-bar">
        <CopyButton text={state.python} what="the Python code" />
        <span className="sk-muted">
          Written by the designer from the saga; it runs as it stands.
        </span>
      </div>
      {state.python ? (
        <PythonCode code={state.python} label="Python code of the saga" />
      ) : (
        <p>There is no code while the saga has errors; the Problems tab says what to mend.</p>
      )}
    </section>
  );
}
