/** Light or dark, as the notebook has it now: JupyterLab and Notebook, VS Code, or the system. */
import { useEffect, useState } from "react";

export type Theme = "light" | "dark";

function now(): Theme {
  const { body } = document;
  const lab = body.dataset.jpThemeLight;
  if (lab !== undefined) return lab === "false" ? "dark" : "light";
  const code = body.dataset.vscodeThemeKind ?? body.className;
  if (/vscode-(dark|high-contrast(?!-light))/.test(code)) return "dark";
  if (/vscode-/.test(code)) return "light";
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export function useTheme(): Theme {
  const [theme, setTheme] = useState(now);
  useEffect(() => {
    const look = () => setTheme(now());
    const observer = new MutationObserver(look);
    const attributeFilter = [
      "data-jp-theme-light",
      "data-jp-theme-name",
      "data-vscode-theme-kind",
      "class",
    ];
    observer.observe(document.body, { attributes: true, attributeFilter });
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", look);
    look();
    return () => {
      observer.disconnect();
      system.removeEventListener("change", look);
    };
  }, []);
  return theme;
}

export function movesLess(): boolean {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
