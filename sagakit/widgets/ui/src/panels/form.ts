import { createContext, useContext, type ReactNode } from "react";
import type { Json, Path, Problem } from "../protocol";
import { problemsAt } from "./problems";
import type { Option, Schema } from "./schema";

export interface FieldProps {
  option: Option;
  path: Path; // from the outermost saga
  value: Json | undefined;
  mixed?: boolean; // several steps are edited, and they differ here
  /** One gesture; `what` says to a screen reader what has changed. */
  onChange(value: Json | undefined, what: string): void;
}

/** What every field of a form needs to know. */
export interface Form {
  root: Schema;
  problems: Problem[];
  /** Where the step or the saga stands that the form is for; `data-path` is told from there on. */
  base: Path;
  /** Names that a text can take: callables, services, steps. */
  suggest(option: Option): string[];
  /** Structs that are not drawn option by option, by the name of their definition. */
  special: Record<string, (props: FieldProps) => ReactNode>;
}

const FormContext = createContext<Form | null>(null);
export const FormProvider = FormContext.Provider;

export function useForm(): Form {
  const form = useContext(FormContext);
  if (!form) throw new Error("a field stands outside of a form; put it into a FormProvider");
  return form;
}

/** How a field is marked, so that a problem's path leads to it: "retry.attempts". */
export function usePlace(): (path: Path | undefined) => string | undefined {
  const { base } = useForm();
  return (path) => path?.slice(base.length).join(".");
}

/** The problems of a place and of what is beneath it. */
export function useProblemsAt(): (path: Path) => Problem[] {
  const { problems } = useForm();
  return (path) => problemsAt(problems, path);
}
