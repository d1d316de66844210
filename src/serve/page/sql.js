// Asks the server in SQL: examples, the catalogue, a table and a chart of the answer, CSV.
import { $, MINUTE, begin, contactPath, count, fault, is, keyed, language, make, moment, put, remember, remembered, say } from "/common.js";
import { draw } from "/chart.js";

const TEXTS = {
  en: {
    examples: "Examples", recent: "Asked before", schema: "Tables, views and functions", look: "Look for a name or meaning",
    statement: "Statement", run: "Run", stop: "Stop", csv: "Download CSV", keys: "Ctrl+Enter runs it. Times are in UTC.",
    running: "Running …", rows: (n, time) => `${n} rows in ${time}`, one_row: (time) => `1 row in ${time}`, no_rows: (time) => `No rows, in ${time}`,
    stopped: "Stopped.", at: (line, column) => `Line ${line}, column ${column}`, go: "Go there",
    chart: "Chart", kind: "Kind", kind_none: "None", kind_bar: "Bars", kind_line: "Lines", x: "Along", ys: "Figures",
    result: "Rows", shown: (n, all) => `The first ${n} of ${all} rows are shown.`,
    too_much: (n) => `Only the first ${n} rows were read, as the answer is long. The CSV has all of them.`,
    saving: "Asking for the whole answer …", saved: (size) => `CSV of ${size} kB`, failed: (text) => `No answer: ${text}`,
    tables: "Tables", views: "Views", functions: "Functions", title: (x, ys) => `Chart of ${ys} along ${x}`, insert: (name) => `Insert ${name}`,
    first_points: (n) => `The chart shows the first ${n} rows.`,
  },
  zh: {
    examples: "示例", recent: "最近查询", schema: "表、视图与函数", look: "按名称或含义查找",
    statement: "语句", run: "运行", stop: "停止", csv: "下载 CSV", keys: "按 Ctrl+Enter 运行。时间为 UTC。",
    running: "运行中……", rows: (n, time) => `${n} 行，用时 ${time}`, one_row: (time) => `1 行，用时 ${time}`, no_rows: (time) => `没有数据，用时 ${time}`,
    stopped: "已停止。", at: (line, column) => `第 ${line} 行第 ${column} 列`, go: "跳转到此处",
    chart: "图表", kind: "类型", kind_none: "无", kind_bar: "柱状图", kind_line: "折线图", x: "横轴", ys: "数值",
    result: "结果", shown: (n, all) => `显示 ${all} 行中的前 ${n} 行。`,
    too_much: (n) => `结果过长，仅读取前 ${n} 行。CSV 包含全部。`,
    saving: "正在获取完整结果……", saved: (size) => `CSV，${size} kB`, failed: (text) => `没有响应：${text}`,
    tables: "表", views: "视图", functions: "函数", title: (x, ys) => `${ys} 随 ${x} 的图表`, insert: (name) => `插入 ${name}`,
    first_points: (n) => `图表显示前 ${n} 行。`,
  },
};
const ROWS_SHOWN = 1000;
const POINTS_MAX = 400;
const READ_MAX = 8 << 20; // characters of an answer that are read for the table
const RECENT_MAX = 8;
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?$/;
const DATE = /^\d{4}-\d\d-\d\d$/;

const statement = $("statement");
let examples = [];
let catalogue = null;
let answer = null;
let wish = null;
let running = null;

// ---- asking

const elapsed = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

/** Reads rows until there are too many; what is cut off is cut off behind a whole row. */
const read = async (came) => {
  const reader = came.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { rows: JSON.parse(text), whole: true };
    text += value;
    if (text.length > READ_MAX) break;
  }
  await reader.cancel();
  // A brace may stand in a text; then the rest is no JSON, and the brace before it is tried.
  for (let end = text.lastIndexOf("}"); end > 0; end = text.lastIndexOf("}", end - 1)) {
    try { return { rows: JSON.parse(`${text.slice(0, end + 1)}]`), whole: false }; } catch { /* further to the front */ }
  }
  return { rows: [], whole: false };
};

const post = (sql, accept, signal) => fetch("/api/v1/sql", {
  method: "POST", headers: { "content-type": "application/json", accept }, body: JSON.stringify({ sql }), signal,
});

const run = async () => {
  const sql = statement.value.trim();
  if (!sql || running) return;
  running = new AbortController();
  const began = performance.now();
  showFault(null);
  put($("said"), say("running"));
  $("run").disabled = true;
  $("stop").disabled = false;
  try {
    const came = await post(sql, "application/json", running.signal);
    if (!came.ok) throw await fault(came);
    answer = { ...await read(came), sql };
    const time = elapsed(performance.now() - began);
    put($("said"), answer.rows.length === 1 ? say("one_row", time) : answer.rows.length ? say("rows", count(answer.rows.length), time) : say("no_rows", time));
    note(sql);
    showAnswer();
  } catch (error) {
    put($("said"), error.name === "AbortError" ? say("stopped") : "");
    if (error.name !== "AbortError") showFault(error.status ? error : new Error(say("failed", error.message)));
  }
  running = null;
  $("run").disabled = false;
  $("stop").disabled = true;
};

const save = async () => {
  const sql = statement.value.trim();
  if (!sql || running) return;
  running = new AbortController();
  showFault(null);
  put($("said"), say("saving"));
  $("stop").disabled = false;
  try {
    const came = await post(sql, "text/csv", running.signal);
    if (!came.ok) throw await fault(came);
    // The mark tells spreadsheets that the text is UTF-8.
    const file = new Blob(["\ufeff", await came.blob()], { type: "text/csv;charset=utf-8" });
    const link = make("a");
    link.href = URL.createObjectURL(file);
    link.download = "callpulse.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    put($("said"), say("saved", count(Math.ceil(file.size / 1024))));
  } catch (error) {
    put($("said"), error.name === "AbortError" ? say("stopped") : "");
    if (error.name !== "AbortError") showFault(error.status ? error : new Error(say("failed", error.message)));
  }
  running = null;
  $("stop").disabled = true;
};

/** The place of a line and column in the text; both begin at 1. */
const place = (text, line, column) => {
  const lines = text.split("\n");
  return lines.slice(0, line - 1).reduce((sum, part) => sum + part.length + 1, 0) + [...(lines[line - 1] ?? "")].slice(0, column - 1).join("").length;
};

const showFault = (error) => {
  statement.setAttribute("aria-invalid", String(Boolean(error)));
  if (!error) { $("fault").replaceChildren(); return; }
  const parts = [make("p", error.message)];
  if (is(error.line) && is(error.column)) {
    // The statement was sent without the blanks around it.
    const lead = statement.value.length - statement.value.trimStart().length;
    const sent = statement.value.trim();
    const line = sent.split("\n")[error.line - 1] ?? "";
    const before = [...line].slice(0, error.column - 1).map((c) => (c === "\t" ? "\t" : c > "\u2e80" ? "\u3000" : " ")).join("");
    const button = make("button", say("go"));
    button.type = "button";
    button.addEventListener("click", () => {
      const from = lead + place(sent, error.line, error.column);
      const word = /^[\w"$.]+|^./u.exec(statement.value.slice(from))?.[0].length ?? 0;
      statement.focus();
      statement.setSelectionRange(from, from + word);
    });
    const shown = make("pre", `${line}\n${before}^`);
    shown.tabIndex = 0;
    parts.push(make("p", say("at", error.line, error.column)), shown, button);
  }
  if (error.hint) parts.push(make("p", error.hint));
  $("fault").replaceChildren(...parts);
};

// ---- the answer

const columnsOf = (rows) => (rows.length ? Object.keys(rows[0]) : []);
const kindOf = (rows, name) => {
  const values = rows.slice(0, 200).map((row) => row[name]).filter((value) => value !== null);
  if (!values.length) return "text";
  if (values.every((value) => typeof value === "number")) return "number";
  return values.every((value) => typeof value === "string" && (ISO.test(value) || DATE.test(value))) ? "time" : "text";
};
const written = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));

const showAnswer = () => {
  const { rows, whole } = answer;
  const columns = columnsOf(rows);
  const kinds = new Map(columns.map((name) => [name, kindOf(rows, name)]));
  $("result").hidden = rows.length === 0;
  $("columns").replaceChildren(...columns.map((name) => {
    const made = make("th", name, kinds.get(name) === "number" ? "figure" : "");
    made.scope = "col";
    return made;
  }));
  $("rows").replaceChildren(...rows.slice(0, ROWS_SHOWN).map((row) => make("tr", columns.map((name) => {
    const value = row[name];
    if (value === null) return make("td", "NULL", "null");
    const made = make("td", null, kinds.get(name) === "number" ? "figure" : "");
    if (name === "contact_id" && typeof value === "string") {
      const link = make("a", value);
      link.href = contactPath(value);
      made.append(link);
    } else {
      made.append(written(value));
    }
    if (kinds.get(name) === "time" && ISO.test(value) && catalogue?.timezone) {
      made.title = `${moment(value, catalogue.timezone)} ${catalogue.timezone}`;
    } else if (kinds.get(name) === "text") {
      made.title = written(value);
    }
    return made;
  }))));
  put($("cut"), [rows.length > ROWS_SHOWN ? say("shown", count(ROWS_SHOWN), count(rows.length)) : "", whole ? "" : say("too_much", count(rows.length))].filter(Boolean).join(" "));
  offerChart(columns, kinds);
};

const offerChart = (columns, kinds) => {
  const figures = columns.filter((name) => kinds.get(name) === "number");
  const axes = columns.filter((name) => kinds.get(name) !== "number");
  $("chart-part").hidden = figures.length === 0 || answer.rows.length < 2;
  if ($("chart-part").hidden) return;
  $("x").replaceChildren(...(axes.length ? axes : figures).map((name) => new Option(name, name)));
  const time = axes.find((name) => kinds.get(name) === "time");
  $("x").value = time ?? axes[0] ?? figures[0];
  // Figures of like size can be read in one chart; the first sets what is like.
  const size = (name) => Math.max(...answer.rows.map((row) => Math.abs(row[name] ?? 0)));
  const like = figures.filter((name) => { const ratio = (size(name) || 1) / (size(figures[0]) || 1); return ratio > 0.02 && ratio < 50; }).slice(0, 4);
  for (const old of $("ys").querySelectorAll("label")) old.remove();
  for (const name of figures.slice(0, 12)) {
    const box = make("input");
    box.type = "checkbox";
    box.value = name;
    box.checked = like.includes(name);
    box.addEventListener("change", showChart);
    $("ys").append(make("label", [box, ` ${name}`]));
  }
  $("kind").value = wish ?? (time ? "line" : "bar");
  showChart();
};

const showChart = () => {
  if (!answer || $("chart-part").hidden) return;
  const x = $("x").value;
  const names = [...$("ys").querySelectorAll("input:checked")].map((box) => box.value).slice(0, 6);
  $("chart").hidden = $("kind").value === "none" || !names.length;
  if ($("chart").hidden) return;
  const rows = answer.rows.slice(0, POINTS_MAX);
  const times = kindOf(rows, x) === "time" && rows.every((row) => row[x] === null || ISO.test(row[x]));
  const days = times ? new Set(rows.map((row) => String(row[x]).slice(0, 10))).size : 0;
  const form = days > 1 ? { month: "2-digit", day: "2-digit", ...MINUTE } : MINUTE;
  const label = (row) => (row[x] === null ? "NULL" : times && catalogue?.timezone ? moment(row[x], catalogue.timezone, form) : written(row[x]));
  draw($("chart"), {
    labels: rows.map(label), title: say("title", x, names.join(", ")), height: 300,
    series: names.map((name) => ({ name, values: rows.map((row) => row[name]), kind: $("kind").value })),
  });
  if (answer.rows.length > POINTS_MAX) $("chart").append(make("p", say("first_points", POINTS_MAX)));
};

// ---- examples, what was asked before, the catalogue

const fill = (sql, kind) => {
  statement.value = sql;
  wish = kind ?? null;
  showFault(null);
  run();
};
const buttons = (list, items, text, act) => keyed(list, items, (item) => JSON.stringify(item), (item) => {
  const button = make("button");
  button.type = "button";
  button.addEventListener("click", () => act(item));
  return make("li", [button]);
}, (row, item) => put(row.firstChild, text(item)));

const before = () => { try { const list = JSON.parse(remembered("asked") ?? "[]"); return Array.isArray(list) ? list.filter((sql) => typeof sql === "string") : []; } catch { return []; } };
const note = (sql) => {
  if (examples.some((example) => example.sql === sql)) return;
  remember("asked", JSON.stringify([sql, ...before().filter((old) => old !== sql)].slice(0, RECENT_MAX)));
  showLists();
};
const showLists = () => {
  buttons($("examples"), examples, (example) => example[language()] ?? example.en, (example) => fill(example.sql, example.chart));
  const recent = before();
  $("recent-part").hidden = recent.length === 0;
  buttons($("recent"), recent, (sql) => sql.replace(/\s+/g, " "), (sql) => fill(sql));
};

const insert = (text) => {
  statement.focus();
  statement.setRangeText(text, statement.selectionStart, statement.selectionEnd, "end");
};
const inserter = (text) => {
  const button = make("button", text);
  button.type = "button";
  button.setAttribute("aria-label", say("insert", text));
  button.addEventListener("click", () => insert(text));
  return button;
};
const showSchema = () => {
  if (!catalogue) return;
  const wanted = $("look").value.trim().toLocaleLowerCase();
  const fits = (...texts) => !wanted || texts.some((text) => text?.toLocaleLowerCase().includes(wanted));
  const parts = [];
  for (const group of ["tables", "views"]) {
    const found = catalogue[group].map((table) => {
      const self = fits(table.name, table.means);
      return { table, columns: self ? table.columns : table.columns.filter((column) => fits(column.name, column.means)), self };
    }).filter(({ columns, self }) => self || columns.length);
    if (!found.length) continue;
    parts.push(make("h3", say(group)));
    for (const { table, columns } of found) {
      const made = make("details", [make("summary", table.name)]);
      made.open = Boolean(wanted);
      // The columns are made when they are looked at: there are some hundreds.
      const build = () => {
        if (made.children.length > 1) return;
        made.append(make("p", [table.means, " ", inserter(table.name)]), make("ul", columns.map((column) =>
          make("li", [inserter(column.name), ` ${[column.type, column.unit].filter(Boolean).join(" ")} — ${column.means}`]))));
      };
      if (made.open) build();
      made.addEventListener("toggle", build);
      parts.push(made);
    }
  }
  const functions = catalogue.functions.filter((made) => fits(made.call, made.means));
  if (functions.length) {
    parts.push(make("h3", say("functions")), make("ul", functions.map((made) => make("li", [inserter(made.call), ` — ${made.means}`]))));
  }
  $("schema").replaceChildren(...parts);
};

const readHash = () => {
  const sql = new URLSearchParams(location.hash.slice(1)).get("sql");
  // A statement from a link is shown, not run: whoever follows it decides.
  if (sql) statement.value = sql;
};

begin(TEXTS, () => { showLists(); showSchema(); if (answer) showChart(); });
$("run").addEventListener("click", run);
$("stop").addEventListener("click", () => running?.abort());
$("csv").addEventListener("click", save);
statement.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    wish = null;
    run();
  }
});
for (const name of ["kind", "x"]) $(name).addEventListener("change", showChart);
$("look").addEventListener("input", showSchema);
addEventListener("hashchange", readHash);
new ResizeObserver(showChart).observe($("chart"));

const load = async () => {
  try {
    const [asked, known] = await Promise.all([fetch("/sql-examples.json"), fetch("/api/v1/catalog")]);
    if (!asked.ok || !known.ok) throw await fault(asked.ok ? known : asked);
    [examples, catalogue] = [await asked.json(), await known.json()];
    showLists();
    showSchema();
    if (!statement.value) statement.value = examples[0]?.sql ?? "";
  } catch (error) {
    put($("said"), say("failed", error.message));
    setTimeout(load, 3000);
  }
};
readHash();
showLists();
load();
