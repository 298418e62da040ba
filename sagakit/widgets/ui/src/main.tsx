/**
 * The entry that anywidget loads, of every widget: the trait `_widget` says which one. A widget
 * has one store, however often it is displayed: what one output cell changes, another one shows.
 */
import type { ReactNode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app";
import type { Model } from "./model";
import { MonitorApp } from "./monitor/monitor";
import { MonitorSource } from "./monitor/source";
import type { Catalogue, Edit, State } from "./protocol";
import { Store } from "./store";
import { ExplorerApp } from "./trace/explorer";
import { ExplorerSource } from "./trace/source";
import { MatrixApp } from "./watch/matrix";
import { PlayerApp } from "./watch/player";
import { MatrixSource, playerSource } from "./watch/source";
import type { Legend } from "./watching";
import "@xyflow/react/dist/base.css";
import "./style.css";
import "./watch/watch.css";
import "./trace/trace.css";
import "./monitor/monitor.css";

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

/** What a widget listens by, made once, and how it is drawn from that. */
const VIEWS: Record<string, (model: Model) => () => ReactNode> = {
  designer(model) {
    const store = storeOf(model);
    return () => <App store={store} legend={model.get("legend") as Legend} />;
  },
  player(model) {
    const source = playerSource(model);
    return () => <PlayerApp source={source} legend={model.get("legend") as Legend} />;
  },
  explorer(model) {
    const source = new ExplorerSource(model);
    return () => <ExplorerApp source={source} legend={model.get("legend") as Legend} />;
  },
  matrix(model) {
    const source = new MatrixSource(model);
    return () => <MatrixApp source={source} legend={model.get("legend") as Legend} />;
  },
  monitor(model) {
    const source = new MonitorSource(model);
    return () => <MonitorApp source={source} legend={model.get("legend") as Legend} />;
  },
};

export default () => {
  let draw: (() => ReactNode) | null = null;
  const open = (model: Model) =>
    VIEWS[(model.get("_widget") as string | undefined) ?? "designer"]!(model);
  return {
    initialize({ model }: { model: Model }): void {
      draw = open(model);
    },
    render({ model, el }: { model: Model; el: HTMLElement }): () => void {
      draw ??= open(model);
      // what `useId` makes begins with it: the widgets of a notebook are many roots on one page
      const identifierPrefix = `sk-${Math.random().toString(36).slice(2)}-`;
      const root = createRoot(el, { identifierPrefix });
      root.render(draw());
      return () => root.unmount();
    },
  };
};
