/** One step on the canvas: its box, shaped by its kind, and its compensation beneath. */
import {
  memo,
  useContext,
  useEffect,
  useRef,
  createContext,
  type CSSProperties,
  type KeyboardEvent,
} from "react";
import { Handle, Position, type NodeProps } from "@xyflow/react";
import {
  GLYPHS,
  KIND_WORDS,
  MAIN,
  MORE,
  TWIN,
  WIDTH,
  type Badge,
  type StepData,
  type StepNode,
} from "./graph";
import { Icon } from "./icons";

/** What a step's box asks of the canvas; it never changes, so that no box is drawn anew for it. */
export interface NodeActions {
  rename(from: string, to: string): void;
  cancelRename(name: string): void;
}
export const NodeActionsContext = createContext<NodeActions>({ rename() {}, cancelRename() {} });

/** How a step that is watched stands: its own look, and its compensation's; see watch/look.ts. */
export interface Seen {
  glyph: string; // empty: that of its kind
  words: string;
  paint: Paint;
  undo: { glyph: string; words: string; paint: Paint } | null;
  struck: string; // what goes wrong here, in words; empty: nothing
  isNow: boolean; // the event that is shown is this step's
}
export interface Paint {
  style: CSSProperties;
  "data-hatch"?: string;
  "data-dash"?: string;
}

export type ShownStep = StepNode & {
  data: StepData & { first?: boolean; renaming?: boolean; seen?: Seen };
  shown?: StepData; // what `data` was made of
};

type Shown = Pick<NodeProps<ShownStep>, "data" | "selected">;

export const StepBox = memo(function StepBox({ data, selected }: Shown) {
  const height = MAIN + (data.badges.length > 0 ? MORE : 0);
  return (
    <div
      className={`sk-step sk-kind-${data.kind}${selected ? " sk-selected" : ""}${data.seen ? " sk-seen" : ""}${data.seen?.isNow ? " sk-now" : ""}`}
      {...data.seen?.paint}
    >
      {data.undo !== null && <Twin undo={data.undo} top={height} seen={data.seen?.undo} />}
      <Main data={data} height={height} selected={selected} />
      <Handle type="target" position={Position.Left} style={{ top: height / 2 }} />
      <Handle type="source" position={Position.Right} style={{ top: height / 2 }} />
    </div>
  );
});

/*
 * A browser without a graphics card paints all of 200 boxes anew for each frame of a drag. What
 * clips, fades or scales costs most there: so signs are characters, only long words are cut, and
 * only the pointed shape is a drawing.
 */
function Main({
  data,
  height,
  selected,
}: {
  data: ShownStep["data"];
  height: number;
  selected: boolean;
}) {
  const isPlain = data.icon === "step";
  return (
    <div
      className="sk-main"
      style={{ height }}
      data-step={data.name}
      role={data.renaming ? "group" : "button"}
      aria-label={data.renaming ? undefined : data.spoken}
      tabIndex={data.first ? 0 : -1}
      aria-pressed={data.renaming || data.seen ? undefined : selected}
      aria-haspopup={data.seen && "dialog"}
    >
      {data.kind === "retriable" && <Pointed height={height} />}
      <span className="sk-chip" aria-hidden="true" title={KIND_WORDS[data.kind]}>
        {data.seen?.glyph || (isPlain ? GLYPHS[data.kind] : <Icon name={data.icon} />)}
      </span>
      <span className="sk-words" aria-hidden={!data.renaming}>
        {data.renaming ? (
          <NameField name={data.name} />
        ) : (
          <Words className="sk-name" text={data.name} most={17} />
        )}
        <Words
          className="sk-about"
          text={`${isPlain ? "" : `${GLYPHS[data.kind]} `}${data.about || data.kind}`}
          most={22}
        />
      </span>
      {data.opens && (
        <span className="sk-opens" aria-hidden="true">
          ›
        </span>
      )}
      {data.badges.length > 0 && (
        <span className="sk-badges" aria-hidden="true">
          {data.badges.map(({ icon, text, title }) => (
            <span key={title} className="sk-badge" title={title}>
              {`${SIGNS[icon]} ${text.length > 14 ? `${text.slice(0, 13)}…` : text}`}
            </span>
          ))}
        </span>
      )}
      {data.seen?.struck && (
        <span aria-hidden="true" className="sk-marker sk-level-error" title={data.seen.struck}>
          ✶
        </span>
      )}
      {data.worst !== null && (
        <span
          aria-hidden="true"
          className={`sk-marker sk-level-${data.worst}`}
          title={`${data.problems} ${data.problems === 1 ? "problem" : "problems"}`}
        >
          {data.worst === "note" ? "i" : "!"}
          {data.problems > 1 && <span>{data.problems}</span>}
        </span>
      )}
    </div>
  );
}

const SIGNS: Record<Badge["icon"], string> = {
  retry: "↻",
  timeout: "◷",
  when: "◇",
  branch: "◇",
  guards: "⌁",
  read: "◎",
  note: "",
};

/** Text that is cut where it may be longer than there is room. */
function Words({ className, text, most }: { className: string; text: string; most: number }) {
  const isLong = text.length > most;
  return (
    <span className={isLong ? `${className} sk-cut` : className} title={isLong ? text : undefined}>
      {text}
    </span>
  );
}

/** The compensation of a step: a smaller box that hangs on it, with the arrow back. */
function Twin({ undo, top, seen }: { undo: string; top: number; seen?: Seen["undo"] }) {
  const place = { top: top - 6, height: TWIN + 4, ...seen?.paint.style };
  const title = seen ? `${undo}: ${seen.words}` : `Undone by ${undo}`;
  return (
    <div
      className={`sk-twin${seen ? " sk-seen" : ""}`}
      {...seen?.paint}
      style={place}
      title={title}
      aria-hidden="true"
    >
      <span>{seen?.glyph ?? "↶"}</span>
      <Words className="sk-undo" text={undo} most={19} />
    </div>
  );
}

/** The shape of what is retried until it succeeds; the other kinds' are borders. */
function Pointed({ height }: { height: number }) {
  const [w, h] = [WIDTH - 1.5, height - 1.5];
  return (
    <svg className="sk-pointed" width={WIDTH} height={height} aria-hidden="true">
      <path
        transform="translate(.75 .75)"
        d={`M4 0H${w - 16}L${w} ${h / 2}L${w - 16} ${h}H4Q0 ${h} 0 ${h - 4}V4Q0 0 4 0Z`}
      />
    </svg>
  );
}

function NameField({ name }: { name: string }) {
  const { rename, cancelRename } = useContext(NodeActionsContext);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.select(), []);
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    event.stopPropagation();
    if (event.key === "Enter") rename(name, event.currentTarget.value);
    if (event.key === "Escape") cancelRename(name);
  };
  return (
    <input
      ref={field}
      className="sk-input sk-rename nodrag nopan"
      aria-label={`New name of ${name}`}
      defaultValue={name}
      onKeyDown={onKeyDown}
      onBlur={(event) => rename(name, event.currentTarget.value)}
    />
  );
}
