/** The entry that anywidget loads: one view of a designer in `el`. */
import { createRoot } from "react-dom/client";
import { App } from "./app";
import type { Model } from "./model";
import "@xyflow/react/dist/base.css";
import "./style.css";

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const root = createRoot(el);
  root.render(<App model={model} />);
  return () => root.unmount();
}

export default { render };
