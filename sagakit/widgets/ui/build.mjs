/**
 * Bundles src/main.tsx into ../static: one ES module, one stylesheet, the licences of what is in them.
 *
 * The same sources give the same bytes on every machine: the pins of package-lock.json, no source
 * map, no time, no path. CI builds again and compares.
 */
import { build } from "esbuild";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "static");

/**
 * The libraries' messages link to their sites; the bundle names no address of the web. And they do
 * not say that `memo` and the like do nothing but make a value, so that one nobody uses can go.
 */
const libraries = {
  name: "libraries",
  setup(build) {
    build.onLoad({ filter: /node_modules.*\.m?js$/ }, async ({ path }) => {
      const contents = (await readFile(path, "utf8"))
        .replaceAll("https://", "")
        .replace(/= (memo|forwardRef|createContext)\(/g, "= /* @__PURE__ */ $1(");
      return { contents, loader: "js" };
    });
  },
};

/** React is CommonJS: as a module, its functions get short names like all others. */
const react = {
  name: "react",
  setup(build) {
    build.onResolve({ filter: /^react(\/jsx-runtime)?$/ }, ({ path, kind }) =>
      kind === "import-statement" ? { path, namespace: "react" } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: "react" }, async ({ path }) => {
      const names = Object.keys((await import(path)).default).filter((name) => name !== "default");
      const contents =
        `const all = require("${path}");\nexport default all;\n` +
        names
          .map((name) => `export const ${name} = /* @__PURE__ */ (() => all.${name})();`)
          .join("\n");
      return { contents, loader: "js", resolveDir: here };
    });
  },
};

/** d3 can go from one colour to another, which nothing here asks of it. */
const colours = {
  name: "colours",
  setup(build) {
    build.onResolve({ filter: /^d3-color$/ }, ({ path }) => ({ path, namespace: "colours" }));
    build.onLoad({ filter: /.*/, namespace: "colours" }, () => ({
      contents: ["color", "rgb", "hsl", "lab", "hcl", "cubehelix"]
        .map((name) => `export function ${name}() { return null; }`)
        .join("\n"),
    }));
  },
};

const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: ["src/main.tsx"],
  outfile: join(out, "sagakit.js"),
  bundle: true,
  format: "esm",
  target: ["es2022"],
  jsx: "automatic",
  minify: true,
  legalComments: "none",
  charset: "utf8",
  define: { "process.env.NODE_ENV": '"production"' },
  plugins: [libraries, react, colours],
  metafile: true,
  logLevel: "warning",
});

await writeFile(join(out, "LICENSES.txt"), await licences(Object.keys(metafile.inputs)));

/** The licence of every package of which something is in the bundle. */
async function licences(inputs) {
  const names = new Set(inputs.map(packageOf).filter(Boolean));
  const parts = [];
  for (const name of [...names].sort()) {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? (await readFile(join(folder, file), "utf8")).trim() : "";
    parts.push(`${name} ${version}: ${license}\n\n${text}`.trim());
  }
  const head = "sagakit.js and sagakit.css hold these packages, each under its own licence.";
  return `${[head, ...parts].join(`\n\n${"-".repeat(72)}\n\n`).replaceAll("\r\n", "\n")}\n`;
}

function packageOf(input) {
  const inside = relative("node_modules", input).split(sep);
  if (!input.includes("node_modules")) return null;
  return inside[0].startsWith("@") ? `${inside[0]}/${inside[1]}` : inside[0];
}
