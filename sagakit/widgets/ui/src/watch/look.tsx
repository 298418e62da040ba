/** How what the legend describes is drawn on the page: colours, glyph and hatch of a look. */
import { type CSSProperties } from "react";
import type { Paint } from "../step-node";
import type { Look } from "../watching";

const BLACK = "#000000";

/** The legend's colours are for white paper; the stylesheet makes others of them in a dark theme. */
export function paint(look: Look | undefined): Paint {
  if (!look) return { style: {} };
  const hue = look.stroke === BLACK ? look.fill : look.stroke; // black has none to make a dark colour of
  const style = {
    "--sk-fill": look.fill,
    "--sk-stroke": look.stroke,
    "--sk-hue": hue,
  } as CSSProperties;
  return { style, "data-hatch": look.hatch || undefined, "data-dash": look.dash ? "" : undefined };
}

/** A word with its glyph, on its colours. */
export function Tag({
  look,
  text,
  quiet = false,
}: {
  look: Look | undefined;
  text: string;
  quiet?: boolean;
}) {
  return (
    <span className={`sk-tag sk-seen${quiet ? " sk-quiet" : ""}`} {...paint(look)}>
      {look?.glyph && <span aria-hidden="true">{look.glyph}</span>}
      <span>{text}</span>
    </span>
  );
}
