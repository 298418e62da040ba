/** What the explorer is drawn from: its traits, the traces in them, and which span is selected. */
import type { Model } from "../model";
import { sender, Source } from "../watch/source";
import type { ExplorerEdit, ExplorerState, SpanDetails } from "../watching";
import { tablesOf, type Table } from "./table";

export interface Chosen {
  run: number;
  span: number;
}
export type Explored = ExplorerState & {
  details: SpanDetails | null; // of the span that the kernel was asked for last
  chosen: Chosen | null; // it is selected; its details may be under way
};

export class ExplorerSource extends Source<Explored, Omit<ExplorerEdit, "seq">> {
  readonly tables: Table[];
  private isOwed = false; // another span was selected before the kernel had answered

  constructor(model: Model) {
    let chosen: Chosen | null = null;
    const read = (): Explored => {
      const state = model.get("state") as ExplorerState;
      const details = model.get("details") as Partial<SpanDetails>;
      const [seq, of] = [details.seq ?? 0, details.name === undefined ? null : details];
      return {
        ...state,
        seq: Math.max(state.seq, seq),
        said: state.seq < seq ? null : state.said,
        details: of as SpanDetails | null,
        chosen,
      };
    };
    super(read, sender(model));
    const { runs, details } = this.get().state;
    this.tables = tablesOf(runs, model.get("numbers") as DataView);
    this.keep = (next) => (chosen = next);
    if (details) this.show({ run: details.run, span: details.span });
    for (const trait of ["state", "details"]) model.on(`change:${trait}`, this.hear);
    model.on("comm_live_update", this.lose);
  }

  /** Select a span, or none; the kernel is asked for one at a time, of many the last. */
  choose = (next: Chosen | null): void => {
    const { state, waits, connected } = this.get();
    if (next?.run === state.chosen?.run && next?.span === state.chosen?.span) return;
    this.show(next);
    if (!connected) return;
    if (waits) this.isOwed = true;
    else this.send(next ?? { span: null });
  };

  private keep: (next: Chosen | null) => void;

  private show(chosen: Chosen | null): void {
    this.keep(chosen);
    this.change({ state: { ...this.get().state, chosen } });
  }

  private hear = (): void => {
    this.receive();
    if (!this.isOwed || this.get().waits) return;
    this.isOwed = false;
    this.send(this.get().state.chosen ?? { span: null });
  };
}
