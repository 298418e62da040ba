import "./panels.css";

export { Inspector } from "./Inspector";
export { SagaOptions } from "./SagaOptions";
export { YamlTab } from "./YamlTab";
export { PythonTab } from "./PythonTab";
export { ProblemsTab } from "./ProblemsTab";
export { DataTab } from "./DataTab";
export { focusField } from "./focus";
