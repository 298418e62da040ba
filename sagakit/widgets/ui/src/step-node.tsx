/** One step on the canvas: its box, shaped by its kind, and its compensation beneath. */
import { memo, useContext, useEffect, useRef, createContext, type KeyboardEvent } from "react";
import { Handle, Position, type NodeProps } from "@xyflow/react";
import { GLYPHS, KIND_WORDS, MAIN, MORE, TWIN, WIDTH, type StepData, type StepNode } from "./graph";
import { Icon } from "./icons";

/** What a step's box asks of the canvas; it never changes, so that no box is drawn anew for it. */
export interface NodeActions {
  rename(from: string, to: string): void;
  cancelRename(name: string): void;
}
export const NodeActionsContext = createContext<NodeActions>({ rename() {}, cancelRename() {} });

export type ShownStep = StepNode & {
  data: StepData & { first?: boolean; renaming?: boolean };
  shown?: StepData; // what `data` was made of
};

export const StepBox = memo(function StepBox({ data, selected }: NodeProps<ShownStep>) {
  const height = MAIN + (data.badges.length > 0 ? MORE : 0);
  return (
    <div className={`sk-step sk-kind-${data.kind}${selected ? " sk-selected" : ""}`}>
      <Handle type="target" position={Position.Left} style={{ top: height / 2 }} />
      <Handle type="source" position={Position.Right} style={{ top: height / 2 }} />
      {data.undo !== null && <Twin undo={data.undo} top={height} />}
      <Main data={data} height={height} selected={selected} />
    </div>
  );
});

function Main({ data, height, selected }: { data: ShownStep["data"]; height: number; selected: boolean }) {
  return (
    <div
      className="sk-main"
      style={{ height }}
      data-step={data.name}
      role={data.renaming ? "group" : "button"}
      tabIndex={data.first ? 0 : -1}
      aria-pressed={data.renaming ? undefined : selected}
    >
      {!data.renaming && <span className="sk-hidden">{data.spoken}</span>}
      <Outline kind={data.kind} height={height} />
      <span className="sk-chip">
        <Icon name={data.icon === "step" && data.kind === "pivot" ? "pivot" : data.icon} />
      </span>
      <span className="sk-words" aria-hidden={!data.renaming}>
        {data.renaming ? <NameField name={data.name} /> : <span className="sk-name" title={data.name}>{data.name}</span>}
        <span className="sk-about" title={data.about}>
          <span className="sk-glyph" title={KIND_WORDS[data.kind]}>{GLYPHS[data.kind]}</span>
          {data.about || KIND_SHORT[data.kind]}
        </span>
      </span>
      {data.opens && <span className="sk-opens" aria-hidden="true"><Icon name="open" size={14} /></span>}
      {data.badges.length > 0 && (
        <span className="sk-badges" aria-hidden="true">
          {data.badges.map(({ icon, text, title }) => (
            <span key={icon} className={`sk-badge sk-badge-${icon}`} title={title}>
              <Icon name={icon} size={12} />
              {text && <span>{text}</span>}
            </span>
          ))}
        </span>
      )}
      {data.worst !== null && (
        <span aria-hidden="true" className={`sk-marker sk-level-${data.worst}`} title={`${data.problems} ${data.problems === 1 ? "problem" : "problems"}`}>
          {data.worst === "note" ? "i" : "!"}
          {data.problems > 1 && <span>{data.problems}</span>}
        </span>
      )}
    </div>
  );
}

const KIND_SHORT = {
  plain: "step",
  compensatable: "compensatable",
  pivot: "pivot",
  retriable: "retriable",
} as const;

/** The compensation of a step: a smaller box that hangs on it, with the arrow back. */
function Twin({ undo, top }: { undo: string; top: number }) {
  return (
    <div className="sk-twin" style={{ top: top - 6, height: TWIN + 4 }} title={`Undone by ${undo}`} aria-hidden="true">
      <Icon name="back" size={14} />
      <span>{undo}</span>
    </div>
  );
}

/** The shape says the kind: square, rounded, with a double border, pointed. */
function Outline({ kind, height }: { kind: StepData["kind"]; height: number }) {
  const [w, h] = [WIDTH - 1.5, height - 1.5];
  return (
    <svg className="sk-outline" width={WIDTH} height={height} aria-hidden="true">
      <g transform="translate(.75 .75)">
        {kind === "retriable" ? (
          <path d={`M4 0H${w - 16}L${w} ${h / 2}L${w - 16} ${h}H4Q0 ${h} 0 ${h - 4}V4Q0 0 4 0Z`} />
        ) : (
          <rect width={w} height={h} rx={kind === "compensatable" ? 13 : 3} />
        )}
        {kind === "pivot" && <rect className="sk-inner" x={3.5} y={3.5} width={w - 7} height={h - 7} rx={2} />}
      </g>
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
