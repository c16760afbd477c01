//! How the page looks. Colours are variables, so that pictures follow the page; the arms' are told apart by people who do not see
//! red or green, and on paper by their dashes.

/// The style sheet.
pub(super) const STYLE: &str = "\
:root { color-scheme: light dark; --back: #fcfcfb; --text: #1d1f23; --faint: #666b73; --line: #dcdfe4; --box: #f3f4f6;
  --faster: #14733f; --slower: #b3341f; --notice: #fff4d6;
  --c0: #1b5fc4; --c1: #d4570a; --c2: #0f8a6d; --c3: #9436b5; --c4: #b58900; --c5: #5c636e; --c6: #c2255c; --c7: #0a7ea4; }
@media (prefers-color-scheme: dark) { :root { --back: #15171a; --text: #e6e8eb; --faint: #9aa1ab; --line: #363b42;
  --box: #1f2327; --faster: #56c98d; --slower: #ff8a75; --notice: #3a3116;
  --c0: #6ea8ff; --c1: #ff9d57; --c2: #4fd0ae; --c3: #cf8cf0; --c4: #e6c14a; --c5: #a7afba; --c6: #ff86ae; --c7: #5bc8e8; } }
* { box-sizing: border-box; }
body { background: var(--back); color: var(--text); font: 16px/1.5 system-ui, 'Segoe UI', 'Helvetica Neue', sans-serif;
  margin: 0 auto; max-width: 70rem; padding: 2.5rem 1.5rem 4rem; font-variant-numeric: tabular-nums; }
h1 { font-size: 1.9rem; letter-spacing: -.01em; line-height: 1.2; margin: 0; }
h2 { border-top: 1px solid var(--line); font-size: 1.25rem; margin: 2.75rem 0 .5rem; padding-top: 1.5rem; }
h3 { font-size: 1.02rem; margin: 0; } p { margin: .4rem 0; max-width: 48rem; }
.about { font-size: 1.1rem; } .faint { color: var(--faint); }
.notice { background: var(--notice); border-radius: 6px; display: inline-block; margin-top: .75rem; padding: .4rem .8rem; }
.cards { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fill, minmax(10.4rem, 1fr)); margin: 1.5rem 0; }
.card { background: var(--box); border: 1px solid var(--line); border-radius: 10px; font-size: .84rem; padding: .8rem .95rem; }
.card h3 { align-items: center; display: flex; gap: .5rem; } .card p { margin: .15rem 0; }
.setting { color: var(--faint); font-size: .78rem; min-height: 2.3em; overflow-wrap: anywhere; }
.big { font-size: 2rem; font-weight: 650; letter-spacing: -.02em; line-height: 1.15; }
.big small { font-size: .6em; font-weight: 500; margin-left: .1em; }
.faster { color: var(--faster); } .slower { color: var(--slower); } .even { color: var(--text); }
section { break-inside: avoid; margin: 1.75rem 0 2.5rem; } .story { color: var(--faint); }
figure { margin: .75rem 0; overflow-x: auto; } figure svg { display: block; height: auto; max-width: 100%; }
figure.wide svg { min-width: 44rem; }
.legend { display: flex; flex-wrap: wrap; font-size: .88rem; gap: .3rem 1.2rem; } .legend span { align-items: center; display: flex; gap: .4rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .84rem; width: 100%; }
th { color: var(--faint); font-weight: 500; text-align: right; vertical-align: bottom; } td { text-align: right; white-space: nowrap; }
th, td { border-bottom: 1px solid var(--line); padding: .32rem .55rem; } th:first-child, td:first-child { padding-left: 0; text-align: left; }
td small { color: var(--faint); font-size: .92em; } td .swatch { margin-right: .45rem; vertical-align: middle; }
td.left, th.left { text-align: left; white-space: normal; } tr.base td { background: var(--box); }
dl { display: grid; font-size: .9rem; gap: .3rem 1.2rem; grid-template-columns: max-content 1fr; } dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
ul { font-size: .9rem; margin: .5rem 0; max-width: 52rem; padding-left: 1.2rem; } li { margin: .3rem 0; } code { font: .92em ui-monospace, monospace; }
svg text { fill: var(--text); font: 12px system-ui, 'Segoe UI', 'Helvetica Neue', sans-serif; font-variant-numeric: tabular-nums; }
svg .tick { fill: var(--faint); font-size: 11px; } svg .grid { stroke: var(--line); stroke-width: 1; fill: none; }
svg .axis { stroke: var(--faint); stroke-width: 1; fill: none; } svg .band { fill: var(--box); }
svg .curve { fill: none; stroke-linejoin: round; stroke-width: 2; } svg .curve.base { stroke-width: 3; }
svg .name { font-weight: 600; } svg .span { stroke-width: 2; } svg .hollow { fill: var(--back); stroke-width: 2; }
svg .a0 { stroke: var(--c0); } svg .a1 { stroke: var(--c1); stroke-dasharray: 7 3; } svg .a2 { stroke: var(--c2); stroke-dasharray: 2.5 2.5; }
svg .a3 { stroke: var(--c3); stroke-dasharray: 9 3 2 3; } svg .a4 { stroke: var(--c4); stroke-dasharray: 12 4; }
svg .a5 { stroke: var(--c5); stroke-dasharray: 4 4; } svg .a6 { stroke: var(--c6); stroke-dasharray: 7 2 2 2 2 2; }
svg .a7 { stroke: var(--c7); stroke-dasharray: 1.5 3; } svg .a8 { stroke: var(--c0); stroke-dasharray: 3 6; }
svg .a9 { stroke: var(--c1); stroke-dasharray: 3 6; } svg .a10 { stroke: var(--c2); stroke-dasharray: 3 6; }
svg .a11 { stroke: var(--c3); stroke-dasharray: 3 6; } svg .span, svg .dot { stroke-dasharray: none; }
svg .f0, svg .f8 { fill: var(--c0); } svg .f1, svg .f9 { fill: var(--c1); } svg .f2, svg .f10 { fill: var(--c2); } svg .f3, svg .f11 { fill: var(--c3); }
svg .f4 { fill: var(--c4); } svg .f5 { fill: var(--c5); } svg .f6 { fill: var(--c6); } svg .f7 { fill: var(--c7); }
@media print { :root { --back: #fff; --text: #000; --faint: #444; --line: #bbb; --box: #f4f4f4; --faster: #14733f; --slower: #b3341f; --notice: #fff;
  --c0: #1b5fc4; --c1: #d4570a; --c2: #0f8a6d; --c3: #9436b5; --c4: #b58900; --c5: #5c636e; --c6: #c2255c; --c7: #0a7ea4; }
  body { font-size: 11px; max-width: none; padding: 0; } h2 { break-after: avoid; } figure, table, .card { break-inside: avoid; }
  .scroll, figure { overflow: visible; } figure.wide svg { min-width: 0; } @page { margin: 14mm; } }
";
