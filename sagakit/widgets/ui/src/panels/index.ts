import type { PanelProps } from "../protocol";

type Panel = (props: PanelProps) => null;
const nothing: Panel = () => null;

export const Inspector = nothing;
export const SagaOptions = nothing;
export const YamlTab = nothing;
export const PythonTab = nothing;
export const ProblemsTab = nothing;
export const DataTab = nothing;
