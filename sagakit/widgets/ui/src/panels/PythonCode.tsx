/** Python, lightly coloured: comments, texts, numbers and keywords, which also differ in weight. */
const TOKEN =
  /(?<comment>#[^\n]*)|(?<text>[rbfu]{0,2}(?:"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))|(?<keyword>\b(?:False|None|True|and|as|async|await|class|def|elif|else|for|from|if|import|in|is|lambda|not|or|pass|raise|return|with|while|yield)\b)|(?<number>\b\d[\d_.]*(?:e[-+]?\d+)?\b)/gi;

export interface Token {
  kind: string; // "" where there is nothing to colour
  text: string;
}

export function tokens(code: string): Token[] {
  const found: Token[] = [];
  let end = 0;
  for (const match of code.matchAll(TOKEN)) {
    if (match.index > end) found.push({ kind: "", text: code.slice(end, match.index) });
    const kind = Object.entries(match.groups!).find(([, text]) => text !== undefined)![0];
    found.push({ kind, text: match[0] });
    end = match.index + match[0].length;
  }
  if (end < code.length) found.push({ kind: "", text: code.slice(end) });
  return found;
}

export function PythonCode({ code, label }: { code: string; label: string }) {
  return (
    // it scrolls, so the keyboard must reach it
    <pre className="sk-code sk-python" tabIndex={0} role="region" aria-label={label}>
      <code>
        {tokens(code).map(({ kind, text }, at) =>
          kind ? (
            <span key={at} className={`sk-py-${kind}`}>
              {text}
            </span>
          ) : (
            text
          ),
        )}
      </code>
    </pre>
  );
}
