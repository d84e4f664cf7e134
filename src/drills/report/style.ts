/** How the page looks, by day and by night; the same on paper. */
export const STYLE = `
:root {
  --paper: #ffffff; --ink: #1b1f24; --faint: #66707c; --line: #d9dee4; --soft: #f4f6f8;
  --clients: #1f6feb; --beside: #9a6700; --bad: #c4262e; --good: #1a7f37; --event: #8250df;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #12161c; --ink: #e4e8ee; --faint: #98a3b0; --line: #2c343e; --soft: #1a2028;
    --clients: #58a6ff; --beside: #d4a72c; --bad: #ff7b72; --good: #56d364; --event: #bc8cff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 24px; max-width: 1040px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif;
}
h1 { font-size: 24px; margin: 0 0 4px; }
h2 { font-size: 17px; margin: 28px 0 8px; }
header p, footer, .remark { color: var(--faint); }
footer { margin-top: 32px; font-size: 13px; }
.verdict { font-size: 14px; padding: 2px 10px; border-radius: 999px; border: 1px solid currentColor; vertical-align: 3px; }
.passed { color: var(--good); font-weight: 600; }
.failed { color: var(--bad); font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td { overflow-wrap: anywhere; }
th { color: var(--faint); font-weight: 500; font-size: 13px; }
figure { margin: 0 0 12px; padding: 10px 12px 4px; background: var(--soft); border-radius: 8px; }
figcaption { font-weight: 600; font-size: 14px; }
.unit { color: var(--faint); font-weight: 400; }
.key { font-weight: 400; margin-left: 14px; }
.key::before { content: ""; display: inline-block; width: 14px; height: 3px; margin-right: 6px; vertical-align: 4px; background: currentColor; }
.key.clients { color: var(--clients); }
.key.beside { color: var(--beside); }
svg { display: block; width: 100%; height: auto; }
svg text { font: 11px system-ui, sans-serif; fill: var(--faint); }
.grid { stroke: var(--line); stroke-width: 1; }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.line.clients { stroke: var(--clients); }
.line.beside { stroke: var(--beside); stroke-dasharray: 5 3; }
.area.clients { fill: var(--clients); opacity: 0.12; }
.bar.errors { fill: var(--bad); }
.event line { stroke: var(--event); stroke-width: 1; stroke-dasharray: 3 3; }
.event text { fill: var(--event); font-weight: 600; }
.hint { fill: transparent; }
.hint:hover { fill: var(--ink); opacity: 0.06; }
@media print { body { padding: 0; } figure { break-inside: avoid; } }
`;
