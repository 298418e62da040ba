/**
 * The entry that anywidget loads. A designer has one store, however often it is displayed: what
 * one output cell changes, another one shows.
 */
import { createRoot } from "react-dom/client";
import { App } from "./app";
import type { Model } from "./model";
import type { Catalogue, Edit, State } from "./protocol";
import { Store } from "./store";
import "@xyflow/react/dist/base.css";
import "./style.css";

function storeOf(model: Model): Store {
  const last = model.get("edit") as Edit | undefined;
  const send = (edit: Edit) => {
    model.set("edit", edit);
    model.save_changes();
  };
  const catalogue = model.get("catalogue") as Catalogue;
  const store = new Store(model.get("state") as State, catalogue, send, last?.seq ?? 0);
  model.on("change:state", () => store.receive(model.get("state") as State));
  model.on("change:catalogue", () => store.receiveCatalogue(model.get("catalogue") as Catalogue));
  // of a model that has had a kernel this tells only that it has one no longer: after a restart
  // there are new models. A state that comes in spite of it says otherwise.
  model.on("comm_live_update", () => store.connection(false));
  return store;
}

export default () => {
  let store: Store | null = null;
  return {
    initialize({ model }: { model: Model }): void {
      store = storeOf(model);
    },
    render({ model, el }: { model: Model; el: HTMLElement }): () => void {
      store ??= storeOf(model);
      const root = createRoot(el);
      root.render(<App store={store} />);
      return () => root.unmount();
    },
  };
};
