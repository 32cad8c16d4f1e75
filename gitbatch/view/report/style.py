"""The style of a report's page: light, dark, and for paper. A constant, so no text of a batch can be in it."""

STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --text: #1c2127; --muted: #57606a; --line: #d0d7de; --raised: #f6f8fa;
  --link: #0550ae; --good: #1a7f37; --bad: #b3261e; --wait: #8a5a00; --bar: #2f7d4f; --pause: #c9d1d9; }
@media (prefers-color-scheme: dark) { :root { --page: #0f1419; --text: #e6e9ed; --muted: #9da7b1; --line: #353d46;
  --raised: #1a2027; --link: #7ab7ff; --good: #57c778; --bad: #ff8a80; --wait: #e0ac4b; --bar: #4fae76; --pause: #3d4650; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main, header, footer { max-width: 76rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 2rem; }
footer { padding-bottom: 3rem; color: var(--muted); }
section { overflow-x: auto; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; overflow-wrap: anywhere; }
p, ul, ol { margin: .4rem 0; }
a { color: var(--link); }
code, pre { font: .88em/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; background: var(--raised); border: 1px solid var(--line); border-radius: 6px; padding: .6rem .8rem; }
small, .muted { color: var(--muted); font-weight: 400; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .75rem; margin: 1.25rem 0; }
dl div { background: var(--raised); border: 1px solid var(--line); border-radius: 6px; padding: .5rem .75rem; }
dt { color: var(--muted); font-size: .85rem; }
dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; }
caption { text-align: left; color: var(--muted); padding-bottom: .3rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--line); }
th { font-size: .85rem; color: var(--muted); font-weight: 600; white-space: nowrap; }
tbody th { color: var(--text); font-size: inherit; white-space: normal; }
tbody th, td p, td li, td pre { overflow-wrap: anywhere; }
tbody th { width: 26%; }
td p { min-width: 14rem; }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.id, td.short { white-space: nowrap; }
td ul { margin: .2rem 0; padding-left: 1.1rem; }
tr:target { outline: 2px solid var(--link); }
article { border: 1px solid var(--line); border-left: 4px solid var(--bad); border-radius: 6px; padding: .25rem 1rem .75rem; margin: .75rem 0; }
article h3 { margin-top: .6rem; }
figure { margin: .5rem 0 1rem; overflow-x: auto; }
figure.paned { border: 1px solid var(--line); border-radius: 6px; padding: .75rem; }
figcaption { color: var(--muted); font-size: .88rem; }
svg { display: block; max-width: none; }
svg text { font: 11px system-ui, sans-serif; fill: var(--text); }
svg text.muted { fill: var(--muted); }
svg line { stroke: var(--line); }
svg path { fill: none; stroke: var(--muted); stroke-opacity: .55; }
svg rect.node { fill: var(--raised); stroke: var(--line); }
svg rect.good { fill: var(--bar); } svg rect.bad { fill: var(--bad); } svg rect.wait { fill: var(--wait); }
svg rect.pause { fill: var(--pause); } svg rect.mark { fill: var(--text); } svg text.bad { fill: var(--bad); font-weight: 700; }
.good { color: var(--good); } .bad { color: var(--bad); } .wait { color: var(--wait); }
@media print { :root { color-scheme: light; --page: #fff; --text: #000; --muted: #444; --line: #bbb; --raised: #f4f4f4;
  --link: #000; --good: #1a7f37; --bad: #b3261e; --wait: #8a5a00; --bar: #2f7d4f; --pause: #c9d1d9; }
  body { font-size: 10pt; } main, header, footer { max-width: none; padding: 0; }
  tr, article { break-inside: avoid; } h2, h3 { break-after: avoid; } thead { display: table-header-group; }
  section, figure { overflow: visible; } table { font-size: 8.5pt; } th, td { padding: .2rem .35rem; }
  td.number, td.id, td.short, thead th { white-space: normal; } td p { min-width: 0; } td.id { overflow-wrap: anywhere; } svg { max-width: 100%; height: auto; }
  rect, td { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
