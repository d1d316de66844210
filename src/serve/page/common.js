// What all pages share: two languages, figures as text, elements, and questions to the server. Text goes in as text,
// never as markup.

const SHARED = {
  en: {
    wallboard: "Wallboard", alerts: "Alerts", sql: "SQL", pages: "Pages", other_language: "中文", theme: "Light or dark",
    find: "Contact ID", open_contact: "Open", contact: "Contact",
    voice: "Voice", chat: "Chat", email: "E-mail", social: "Social", video: "Video", sms: "SMS",
    available: "Available", busy: "Busy", acw: "After-contact work", break: "Break", training: "Training",
    meeting: "Meeting", other: "Other", offline: "Offline",
    answered: "Answered", abandoned: "Abandoned", abandoned_short: "Abandoned early", overflow: "Overflowed",
    callback: "Call back", exit_key: "Left by key", timeout: "Timed out", no_agent: "No agent", closed: "Closed",
    error: "Error", waits: "Waiting", contained: "Contained by the bot", abandoned_in_bot: "Abandoned in the bot",
    ended_before_queue: "Ended before a queue", in_progress: "In progress",
  },
  zh: {
    wallboard: "大屏", alerts: "告警", sql: "SQL", pages: "页面", other_language: "English", theme: "深色或浅色",
    find: "联络编号", open_contact: "打开", contact: "联络",
    voice: "语音", chat: "在线", email: "邮件", social: "社交", video: "视频", sms: "短信",
    available: "空闲", busy: "忙碌", acw: "话后处理", break: "小休", training: "培训",
    meeting: "会议", other: "其他", offline: "离线",
    answered: "已接通", abandoned: "已放弃", abandoned_short: "短时放弃", overflow: "溢出",
    callback: "预约回拨", exit_key: "按键退出", timeout: "超时", no_agent: "无客服", closed: "非服务时间",
    error: "错误", waits: "排队中", contained: "机器人解决", abandoned_in_bot: "机器人中放弃",
    ended_before_queue: "排队前结束", in_progress: "进行中",
  },
};

const remembered = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
const remember = (name, value) => { try { localStorage.setItem(name, value); } catch { /* a private window forgets */ } };
export { remembered, remember };

export const $ = (id) => document.getElementById(id);

let own = { en: {}, zh: {} };
let chosen = SHARED[remembered("language")] ? remembered("language") : navigator.language.startsWith("zh") ? "zh" : "en";

/** The language in force: en or zh. */
export const language = () => chosen;
export const locale = () => (chosen === "zh" ? "zh-CN" : undefined);

/** The text of a name in the language in force; a name without a text is its own text. */
export const say = (name, ...given) => {
  const found = [own[chosen], SHARED[chosen]].find((texts) => Object.hasOwn(texts, name));
  const text = found ? found[name] : name;
  return typeof text === "function" ? text(...given) : text;
};

const label = () => {
  document.documentElement.lang = chosen === "zh" ? "zh-CN" : "en";
  for (const made of document.querySelectorAll("[data-text]")) made.textContent = say(made.dataset.text);
  for (const made of document.querySelectorAll("[data-label]")) made.setAttribute("aria-label", say(made.dataset.label));
  for (const made of document.querySelectorAll("[data-hint]")) made.placeholder = say(made.dataset.hint);
  $("language").textContent = say("other_language");
  $("language").lang = chosen === "zh" ? "en" : "zh-CN";
};

/** Begins a page: its texts, and what is to be done once the language has changed. */
export const begin = (texts, changed) => {
  own = texts;
  label();
  $("language").addEventListener("click", () => {
    chosen = chosen === "zh" ? "en" : "zh";
    remember("language", chosen);
    label();
    changed();
  });
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => {
    const theme = remembered("theme") ?? (dark.matches ? "dark" : "light");
    document.documentElement.dataset.theme = theme;
    $("theme").setAttribute("aria-pressed", String(theme === "dark"));
  };
  $("theme").addEventListener("click", () => {
    remember("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    paint();
  });
  dark.addEventListener("change", paint);
  paint();
  $("find")?.addEventListener("submit", (event) => {
    event.preventDefault();
    const id = $("find-id").value.trim();
    if (id) location.href = contactPath(id);
  });
};

export const contactPath = (id) => `/contacts/${encodeURIComponent(id)}`;

/** What has no figure is a dash, never a nought. */
export const is = (value) => typeof value === "number" && Number.isFinite(value);
export const count = (value) => (is(value) ? value.toLocaleString(locale()) : "–");
export const share = (value) => (is(value) ? `${(value * 100).toFixed(1)} %` : "–");
export const seconds = (value) => {
  if (!is(value)) return "–";
  const whole = Math.round(value);
  const two = (n) => String(n).padStart(2, "0");
  return whole < 3600
    ? `${Math.floor(whole / 60)}:${two(whole % 60)}`
    : `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
};
const formats = new Map();
/** An instant (ms since 1970, or RFC 3339) in the centre's zone. */
export const moment = (time, zone, options = { dateStyle: "medium", timeStyle: "medium" }) => {
  if (time === null || time === undefined) return "–";
  const key = `${chosen} ${zone} ${JSON.stringify(options)}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(locale(), { timeZone: zone, ...options }));
  return formats.get(key).format(new Date(time));
};
export const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
export const MINUTE = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

/** An element with a text or children, and a class. */
export const make = (kind, content, name) => {
  const made = document.createElement(kind);
  if (name) made.className = name;
  if (Array.isArray(content)) made.append(...content.filter((part) => part !== null && part !== undefined));
  else if (content !== undefined && content !== null) made.append(content);
  return made;
};

/** Sets a text only when it changes, so that a screen reader is not told what it knows, and no selection is lost. */
export const put = (made, text) => { if (made.textContent !== text) made.textContent = text; };

/** Tiles of a name and a figure each. */
export const tiles = (list, entries) => {
  keyed(list, entries, ([name]) => name, ([name]) => make("div", [make("dt", name), make("dd")]),
    (box, [, value, kind]) => {
      const text = value instanceof Node ? value.textContent : String(value);
      const figure = box.lastChild;
      if (figure.textContent !== text) figure.replaceChildren(value instanceof Node ? value : text);
      if (figure.className !== (kind ?? "")) figure.className = kind ?? "";
    });
};

/** Shows items in order, and keeps the element of an item that was there: neither focus nor place is lost. */
export const keyed = (parent, items, key, build, update = () => {}) => {
  const known = new Map([...parent.children].map((made) => [made.dataset.key, made]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let made = known.get(name);
    known.delete(name);
    if (!made) {
      made = build(item);
      made.dataset.key = name;
    }
    update(made, item);
    if (made === place) place = place.nextElementSibling;
    else parent.insertBefore(made, place);
  }
  for (const gone of known.values()) gone.remove();
};

/** A text as SQL has it. */
export const quote = (text) => `'${String(text).replaceAll("'", "''")}'`;

/** The rows of a statement; a fault is thrown as the server tells it. */
export const ask = async (sql, signal) => {
  const answer = await fetch("/api/v1/sql", {
    method: "POST", headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify({ sql }), signal,
  });
  if (!answer.ok) throw await fault(answer);
  return answer.json();
};

/** A refusal as an error with hint, line and column. */
export const fault = async (answer) => {
  let told = {};
  try { told = await answer.json(); } catch { /* not ours */ }
  const made = new Error(told.error ?? `${answer.status} ${answer.statusText}`);
  return Object.assign(made, { status: answer.status, hint: told.hint, line: told.line, column: told.column });
};
