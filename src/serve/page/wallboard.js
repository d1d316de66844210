// Shows what /api/v1/stream tells each second, the day's slots, and the newest contacts of a chosen queue.
import {
  $, CLOCK, MINUTE, ask, begin, contactPath, count, fault, is, keyed, language, locale, make, moment, put, quote,
  remember, remembered, say, seconds, share, tiles,
} from "/common.js";
import { draw } from "/chart.js";

const TEXTS = {
  en: {
    now: "Now", queues: "Queues today", agents: "Agents", pipeline: "Data", slot: "This slot", slots: "Slots of the day",
    queue: "Queue", channel: "Channel", waiting: "Waiting", longest: "Longest wait", active: "In progress",
    answer_rate: "Answer rate", service_level: "Service level", asa: "ASA", aht: "AHT",
    offered: "Offered", answered_today: "Answered", answered_slot: "Answered", abandoned_slot: "Abandoned", forecast: "Forecast",
    required: "Agents needed", staffed: "Agents planned", free: "Agents free",
    this_slot: (name) => `${name} · this slot`, goal: (text) => `goal ${text}`, target_wait: (text) => `target ${text}`,
    plan: (needed, planned) => `${needed} needed · ${planned} planned`, where: (name, queue) => `${name} · ${queue}`,
    none: "No queue has had a contact yet.", good: () => `${percent(goal)} % and more`, fair: () => `${percent(low())} to ${percent(goal)} %`, poor: () => `below ${percent(low())} %`,
    lag: "Records behind", watermark: "Complete up to", events: "Events",
    filter: "Filter", order: "Order", by_pressure: "Waiting first", by_name: "Name", by_offered: "Offered", by_level: "Lowest service level",
    shown: (n, all) => (n === all ? `${all} rows` : `${n} of ${all} rows`), more_rows: (n) => `Show ${n} more`, fewer: "Show fewer",
    close: "Close", entered: "Entered", wait: "Wait", outcome: "Outcome", agent: "Agent",
    newest: (queue) => `Newest contacts: ${queue}`, no_contacts: "No contact entered this queue in the last 24 hours.",
    chart: (offered, answered) => `Contacts per slot of today: ${offered} offered, ${answered} answered so far.`,
    no_slots: "No slot of today has had a contact yet.", as_table: "As a table", slot_start: "Slot",
    nothing_yet: "This centre is empty: not one event has come yet. The figures appear by themselves with the first contact.",
    nothing_today: "No contact has entered a queue today. The figures appear by themselves with the first one.",
    failed: (text) => `This could not be asked: ${text}`,
    lacking: (what) => `These figures are not whole. Missing: ${what}`,
    open_alerts: (n) => (n === 1 ? "1 open alert" : `${n} open alerts`), sound: "Sound", take: "I take care of it",
    taken: (who) => `taken care of by ${who}`, more: (n) => `${n} more`, critical: "Critical", warning: "Warning", info: "Info",
    age: (s) => `updated ${s} s ago`, stale: (s) => `These figures are ${s} s old: nothing comes from callpulse.`,
    waiting_for: "Waiting for the first figures: no connection to callpulse.", day: "d", hour: "h",
  },
  zh: {
    now: "现在", queues: "今日各队列", agents: "客服状态", pipeline: "数据", slot: "当前时段", slots: "今日各时段",
    queue: "队列", channel: "渠道", waiting: "排队数", longest: "最长等待", active: "处理中",
    answer_rate: "接通率", service_level: "服务水平", asa: "平均应答速度", aht: "平均处理时长",
    offered: "进线量", answered_today: "接通量", answered_slot: "接通量", abandoned_slot: "放弃量", forecast: "预测量",
    required: "所需人数", staffed: "排班人数", free: "空闲客服",
    this_slot: (name) => `${name} · 当前时段`, goal: (text) => `目标 ${text}`, target_wait: (text) => `目标 ${text}`,
    plan: (needed, planned) => `需 ${needed} 人 · 排班 ${planned} 人`, where: (name, queue) => `${name} · ${queue}`,
    none: "尚无队列有进线。", good: () => `${percent(goal)}% 及以上`, fair: () => `${percent(low())}% 至 ${percent(goal)}%`, poor: () => `${percent(low())}% 以下`,
    lag: "积压记录数", watermark: "数据完整至", events: "事件数",
    filter: "筛选", order: "排序", by_pressure: "排队优先", by_name: "名称", by_offered: "进线量", by_level: "服务水平最低",
    shown: (n, all) => (n === all ? `共 ${all} 行` : `显示 ${n} / ${all} 行`), more_rows: (n) => `再显示 ${n} 行`, fewer: "收起",
    close: "关闭", entered: "进入队列", wait: "等待", outcome: "结果", agent: "客服",
    newest: (queue) => `最新联络：${queue}`, no_contacts: "最近 24 小时内该队列没有进线。",
    chart: (offered, answered) => `今日各时段联络量：目前进线 ${offered}，接通 ${answered}。`,
    no_slots: "今日尚无时段有进线。", as_table: "表格形式", slot_start: "时段",
    nothing_yet: "中心目前为空：尚未收到任何事件。第一个联络到来后，数据会自动出现。",
    nothing_today: "今日尚无联络进入队列。第一个联络到来后，数据会自动出现。",
    failed: (text) => `查询失败：${text}`,
    lacking: (what) => `当前数据不完整，缺少：${what}`,
    open_alerts: (n) => `${n} 条未结告警`, sound: "声音提醒", take: "我来处理",
    taken: (who) => `处理人 ${who}`, more: (n) => `另有 ${n} 条`, critical: "紧急", warning: "警告", info: "提示",
    age: (s) => `${s} 秒前更新`, stale: (s) => `数据已过期 ${s} 秒：callpulse 没有新数据。`,
    waiting_for: "正在等待首批数据：尚未连接 callpulse。", day: "天", hour: "时",
  },
};
const STALE_MS = 2500; // two ticks missed
const ROWS_AT_FIRST = 40;
const ROWS_MORE = 200; // a table of all of a thousand rows keeps a small machine busy
const STATES = ["available", "busy", "acw", "break", "training", "meeting", "other", "offline"];

let live = null;
let seen = performance.now();
let rowsWanted = ROWS_AT_FIRST;
let order = [];
/** Share that is aimed at, and how far below it is still fair. */
let goal = 0.8;
const FAIR_BELOW = 0.2;
const low = () => Math.max(0, goal - FAIR_BELOW);
const percent = (value) => Math.round(value * 100);

// Colour never stands alone: a shape says the same.
const judge = (value) => (!is(value) ? null : value >= goal ? ["good", "●"] : value >= low() ? ["fair", "▲"] : ["poor", "■"]);
// A wait is late beyond the target, and far too long beyond three times as much.
const judgeWait = (value, target) => (!is(value) || !is(target) || value <= target ? null : value <= 3 * target ? ["fair", "▲"] : ["poor", "■"]);
const judged = (cell, value) => {
  const [kind, shape] = judge(value) ?? ["", ""];
  put(cell, kind ? `${shape} ${share(value)}` : share(value));
  cell.className = kind;
  cell.title = kind ? say(kind) : "";
};

// ---- the big figures

const figure = (text, unit, shape) => {
  const made = document.createDocumentFragment();
  if (shape) made.append(make("span", shape, "shape"), " ");
  made.append(text);
  if (unit) made.append(make("span", unit, "unit"));
  return made;
};
const bigTime = (value) => {
  if (!is(value)) return ["–"];
  if (value < 3600) return [seconds(value)];
  const hours = value / 3600;
  return hours < 24 ? [hours.toFixed(1), ` ${say("hour")}`] : [(hours / 24).toFixed(1), ` ${say("day")}`];
};
// Rounded down: 79.6 % is not yet 80 %.
const bigShare = (value) => (is(value) ? [String(Math.floor(value * 100)), "%"] : ["–"]);

const showBig = (queues) => {
  const waiting = queues.reduce((sum, queue) => sum + (queue.waiting ?? 0), 0);
  const worst = queues.reduce((most, queue) =>
    ((queue.longest_wait_seconds ?? -1) > (most?.longest_wait_seconds ?? -1) ? queue : most), null);
  const slot = live.slot ?? {};
  const free = live.agents?.available;
  const target = worst?.target_wait_seconds;
  const wanted = say("goal", `≥ ${percent(goal)} %`);
  const entries = [
    ["waiting", say("waiting"), count(waiting), "", waiting > 0 && free === 0 ? ["poor", "■"] : null, ""],
    ["longest", is(worst?.longest_wait_seconds) ? say("where", say("longest"), worst.queue) : say("longest"),
      ...pair(bigTime(worst?.longest_wait_seconds)), judgeWait(worst?.longest_wait_seconds, target),
      is(worst?.longest_wait_seconds) && is(target) ? say("target_wait", seconds(target)) : ""],
    ["service_level", say("this_slot", say("service_level")), ...pair(bigShare(slot.service_level)), judge(slot.service_level), wanted],
    ["answer_rate", say("this_slot", say("answer_rate")), ...pair(bigShare(slot.answer_rate)), judge(slot.answer_rate), wanted],
    ["free", say("free"), count(free), "", null,
      is(slot.agents_required) && is(slot.agents_staffed) ? say("plan", count(slot.agents_required), count(Math.round(slot.agents_staffed))) : ""],
  ];
  keyed($("big"), entries, ([name]) => name, ([name]) => {
    const box = make("div", [make("dt"), make("dd"), make("dd", "", "goal")]);
    box.dataset.figure = name;
    return box;
  }, (box, [, name, text, unit, kind, aim]) => {
    put(box.children[0], name);
    put(box.children[2], aim);
    const sign = JSON.stringify([text, unit, kind]);
    if (box.dataset.sign === sign) return;
    box.dataset.sign = sign;
    box.children[1].className = kind?.[0] ?? "";
    box.children[1].replaceChildren(figure(text, unit, kind?.[1]));
    fitBig();
  });
};
/** The greatest size at which all figures fit. */
const fitBig = () => {
  const box = $("big");
  for (const size of ["most", "less", "least"]) {
    box.dataset.size = size;
    if ([box, ...box.children].every((made) => made.scrollWidth <= made.clientWidth)) return;
  }
};
const pair = ([text, unit]) => [text, unit ?? ""];

// ---- the queues

const rowKey = (queue) => `${queue.queue}\u0000${queue.channel}`;
const named = (queue) => `${queue.queue} · ${say(queue.channel ?? "–")}`;
const byName = (a, b) => a.queue.localeCompare(b.queue, locale()) || String(a.channel).localeCompare(String(b.channel));
const ORDERS = {
  pressure: (a, b) => (b.waiting ?? 0) - (a.waiting ?? 0)
    || (b.longest_wait_seconds ?? 0) - (a.longest_wait_seconds ?? 0) || (b.offered ?? 0) - (a.offered ?? 0) || byName(a, b),
  name: byName,
  offered: (a, b) => (b.offered ?? 0) - (a.offered ?? 0) || byName(a, b),
  service_level: (a, b) => (a.service_level ?? 2) - (b.service_level ?? 2) || byName(a, b),
};

const newRow = (queue) => {
  const row = document.createElement("tr");
  const name = make("th");
  name.scope = "row";
  const link = make("a", queue.queue);
  link.href = `#${new URLSearchParams({ queue: queue.queue, channel: queue.channel ?? "" })}`;
  name.append(link);
  row.append(name, ...Array.from({ length: 10 }, (_, place) => make("td", "", place >= 5 ? "wide" : "")));
  return row;
};
const fillRow = (row, queue) => {
  const cells = row.children;
  put(cells[1], say(queue.channel ?? "–"));
  put(cells[2], queue.waiting > 0 ? `▲ ${count(queue.waiting)}` : count(queue.waiting));
  cells[2].className = queue.waiting > 0 ? "fair" : "";
  const late = judgeWait(queue.longest_wait_seconds, queue.target_wait_seconds);
  put(cells[3], late ? `${late[1]} ${seconds(queue.longest_wait_seconds)}` : seconds(queue.longest_wait_seconds));
  cells[3].className = late?.[0] ?? "";
  cells[3].title = is(queue.target_wait_seconds) ? say("target_wait", seconds(queue.target_wait_seconds)) : "";
  judged(cells[4], queue.answer_rate);
  judged(cells[5], queue.service_level);
  put(cells[6], count(queue.active));
  put(cells[7], seconds(queue.asa_seconds));
  put(cells[8], seconds(queue.aht_seconds));
  put(cells[9], count(queue.offered));
  put(cells[10], count(queue.answered));
  row.classList.toggle("chosen", chosen !== null && queue.queue === chosen.queue && queue.channel === chosen.channel);
};

const onWall = matchMedia("(min-width: 1700px) and (min-height: 900px)");
/** How many rows are shown. Nobody scrolls a screen on the wall: there it is what fits above what stands below. */
const roomForRows = () => (rowsWanted > ROWS_AT_FIRST ? rowsWanted : roomOnWall("queues", "left", { height: 40, least: 5, most: rowsWanted }));
/** How many of a list's entries fit on the wall with all that stands below them in their column: told when the rest is filled in. */
const roomOnWall = (list, column, { height, gap = 0, least, most }) => {
  if (!onWall.matches) return most;
  const box = $(list).getBoundingClientRect();
  const below = $(column).getBoundingClientRect().bottom - box.bottom;
  const heights = [...$(list).children].map((entry) => entry.getBoundingClientRect().height);
  const each = (heights.length ? Math.max(...heights) : height) + gap;
  return Math.min(most, Math.max(least, Math.floor((innerHeight - (box.top + scrollY) - below - 8 + gap) / each)));
};

const showQueues = (queues) => {
  const wanted = $("filter").value.trim().toLocaleLowerCase();
  const fitting = wanted ? queues.filter((queue) => named(queue).toLocaleLowerCase().includes(wanted)) : [...queues];
  fitting.sort(ORDERS[$("order").value] ?? ORDERS.pressure);
  // Rows must not run away from under a pointer or the keyboard.
  if ($("queues").matches(":hover, :focus-within")) {
    const places = new Map(order.map((key, place) => [key, place]));
    const place = (queue) => places.get(rowKey(queue)) ?? order.length;
    fitting.sort((a, b) => place(a) - place(b));
  }
  const room = roomForRows();
  const rows = fitting.slice(0, room);
  order = rows.map(rowKey);
  keyed($("queues"), rows, rowKey, newRow, fillRow);
  $("none").hidden = queues.length > 0;
  put($("shown"), queues.length ? say("shown", rows.length, queues.length) : "");
  $("more").hidden = fitting.length <= room;
  put($("more"), say("more_rows", Math.min(ROWS_MORE, fitting.length - room)));
  $("fewer").hidden = rowsWanted <= ROWS_AT_FIRST;
};

/** Whether SQL can be asked: not before a service that starts has its partitions. Some readers are not told of them. */
const canAsk = () => live !== null && is(live.now) && live.pipeline?.lag !== null;

// ---- the newest contacts of a queue

let chosen = null;
let contacts = null;
let asking = 0;
const readHash = () => {
  const asked = new URLSearchParams(location.hash.slice(1));
  const before = chosen && rowKey(chosen);
  chosen = asked.get("queue") ? { queue: asked.get("queue"), channel: asked.get("channel") || null } : null;
  $("drill").hidden = chosen === null;
  if (chosen && rowKey(chosen) !== before) {
    contacts = null;
    $("newest").replaceChildren();
    put($("drill-note"), "");
    showDrill();
    asking += 1;
    askNewest(asking);
    $("drill").focus({ preventScroll: true });
    $("drill").scrollIntoView({ block: "nearest" });
  }
  if (live) show();
};
const showDrill = () => {
  if (!chosen) return;
  put($("drill-title"), say("newest", named(chosen)));
  if (!contacts) return;
  keyed($("newest"), contacts, (row) => `${row.contact_id} ${row.leg}`, (row) => {
    const made = document.createElement("tr");
    const name = make("th");
    name.scope = "row";
    const link = make("a", row.contact_id);
    link.href = contactPath(row.contact_id);
    name.append(link);
    made.append(name, make("td"), make("td"), make("td"), make("td"));
    return made;
  }, (made, row) => {
    const cells = made.children;
    const waited = row.wait_ms ?? (is(live?.now) ? Math.max(0, live.now - Date.parse(row.queued_at)) : null);
    put(cells[1], moment(row.queued_at, live?.timezone, CLOCK));
    put(cells[2], seconds(is(waited) ? waited / 1000 : null));
    put(cells[3], row.outcome === null ? `▲ ${say("waits")}` : say(row.outcome));
    cells[3].className = row.outcome === null ? "fair" : "";
    put(cells[4], row.agent_id ?? "–");
  });
  put($("drill-note"), contacts.length ? "" : say("no_contacts"));
};
const askNewest = async (turn) => {
  const began = performance.now();
  if (turn !== asking || !chosen) return;
  if (canAsk() && !document.hidden) {
    const since = new Date(live.now - 24 * 3600 * 1000).toISOString();
    const channel = chosen.channel ? `channel = ${quote(chosen.channel)}` : "channel IS NULL";
    try {
      const rows = await ask(`SELECT contact_id, leg, queued_at, wait_ms, outcome, agent_id FROM legs
        WHERE queue = ${quote(chosen.queue)} AND ${channel} AND queued_at >= TIMESTAMP ${quote(since)}
        ORDER BY queued_at DESC, contact_id LIMIT 25`);
      if (turn !== asking) return;
      contacts = rows;
      showDrill();
    } catch (error) {
      if (turn === asking) put($("drill-note"), say("failed", error.message));
    }
  }
  // A slow answer is not asked for at once again.
  setTimeout(() => askNewest(turn), canAsk() ? Math.max(2000, 3 * (performance.now() - began)) : 200);
};

// ---- the slots of the day

let slots = { came: [], expected: [] };
let slotFault = "";
let hasForecasts = null;
const HOUR_MS = 3600 * 1000;
const SLOTS_AT_LEAST = 12;
/** Midnight of the centre's day. */
const midnight = (now, zone) => {
  const parts = (time) => Object.fromEntries(new Intl.DateTimeFormat("en-US", {
    timeZone: zone, day: "numeric", ...CLOCK,
  }).formatToParts(new Date(time)).map((part) => [part.type, Number(part.value)]));
  const today = parts(now);
  let start = now - ((today.hour * 60 + today.minute) * 60 + today.second) * 1000 - (now % 1000);
  // The clocks may have changed since midnight.
  const at = parts(start);
  if (at.day !== today.day) start += HOUR_MS;
  else if (at.hour > 0) start -= at.hour * HOUR_MS;
  return start;
};
const askSlots = async () => {
  const began = performance.now();
  if (canAsk() && !document.hidden) {
    const from = midnight(live.now, live.timezone);
    const today = `slot_start >= TIMESTAMP ${quote(new Date(from).toISOString())}
      AND slot_start < TIMESTAMP ${quote(new Date(from + 26 * HOUR_MS).toISOString())}`;
    try {
      if (hasForecasts === null) {
        const found = await ask("SELECT table_name FROM information_schema.tables WHERE table_name = 'forecasts'");
        hasForecasts = found.length > 0;
      }
      const came = await ask(`SELECT slot_start, SUM(offered) AS offered, SUM(answered) AS answered FROM kpi_slot
        WHERE ${today} GROUP BY slot_start ORDER BY slot_start`);
      const expected = hasForecasts ? await ask(`SELECT slot_start, SUM(contacts) AS contacts FROM (
          SELECT slot_start, contacts, ROW_NUMBER() OVER (
            PARTITION BY channel, queue, slot_start ORDER BY made_at DESC) AS place
          FROM forecasts WHERE ${today})
        WHERE place = 1 GROUP BY slot_start ORDER BY slot_start`) : [];
      slots = { came, expected };
      slotFault = "";
    } catch (error) {
      slotFault = say("failed", error.message);
    }
    showSlots();
  }
  setTimeout(askSlots, canAsk() ? Math.max(15000, 10 * (performance.now() - began)) : 200);
};
let slotsSign = "";
/** What the live figures expect of the running slot, where they do. */
const expectedNow = () => live?.slot?.forecast_contacts;
const showSlots = () => {
  put($("slots-note"), slotFault);
  if (!live) return;
  const points = new Map();
  const point = (start) => {
    if (!points.has(start)) points.set(start, { offered: null, answered: null, forecast: null });
    return points.get(start);
  };
  for (const row of slots.came) Object.assign(point(Date.parse(row.slot_start)), { offered: row.offered, answered: row.answered });
  for (const row of slots.expected) point(Date.parse(row.slot_start)).forecast = row.contacts;
  const running = live.slot;
  if (is(running?.start) && running.offered > 0) {
    Object.assign(point(running.start), { offered: running.offered, answered: running.answered });
  }
  if (is(running?.start) && is(expectedNow())) point(running.start).forecast = expectedNow();
  const starts = [...points.keys()].sort((a, b) => a - b);
  const length = is(running?.start) && running.end > running.start ? running.end - running.start : 30 * 60000;
  const places = [];
  for (let at = starts[0]; starts.length && at <= starts[starts.length - 1]; at += length) places.push(at);
  // A young day is not one broad bar: what is still to come has its place.
  const dayEnd = starts.length ? midnight(starts[0], live.timezone) + 24 * HOUR_MS : 0;
  while (places.length && places.length < SLOTS_AT_LEAST && places[places.length - 1] + length < dayEnd) places.push(places[places.length - 1] + length);
  const sign = JSON.stringify([language(), places.length, [...points], $("slots").clientWidth, running?.start]);
  if (sign === slotsSign) return;
  slotsSign = sign;
  const of = (name) => places.map((at) => points.get(at)?.[name] ?? null);
  const labels = places.map((at) => moment(at, live.timezone, MINUTE));
  const sum = (name) => of(name).reduce((all, value) => all + (value ?? 0), 0);
  if (!places.length) {
    $("slots").replaceChildren(make("p", say("no_slots")));
  } else {
    const series = [
      { name: say("offered"), values: of("offered"), kind: "bar" }, { name: say("answered_slot"), values: of("answered"), kind: "over" },
    ];
    if (of("forecast").some(is)) series.push({ name: say("forecast"), values: of("forecast").map((v) => (is(v) ? Number(v.toFixed(1)) : null)), kind: "line" });
    draw($("slots"), {
      labels, series, title: say("chart", count(sum("offered")), count(sum("answered"))),
      mark: running ? places.indexOf(running.start) : -1, height: 220,
    });
  }
  keyed($("slots-rows"), places, String, (at) => {
    const row = document.createElement("tr");
    const name = make("th");
    name.scope = "row";
    row.append(name, make("td"), make("td"), make("td"));
    return row;
  }, (row, at) => {
    const values = points.get(at) ?? {};
    put(row.children[0], moment(at, live.timezone, MINUTE));
    put(row.children[1], count(values.offered));
    put(row.children[2], count(values.answered));
    put(row.children[3], is(values.forecast) ? count(Number(values.forecast.toFixed(1))) : "–");
  });
};

// ---- alerts, where the server has them

const SHOWN_ALERTS = 5;
const SHOWN_ON_WALL = 3;
const HEARD_ALERTS = 50;
let alerts = null;
let known = null;
const beep = () => {
  const sound = new AudioContext();
  const [tone, loudness] = [sound.createOscillator(), sound.createGain()];
  tone.connect(loudness).connect(sound.destination);
  loudness.gain.setValueAtTime(0.15, sound.currentTime);
  loudness.gain.exponentialRampToValueAtTime(0.001, sound.currentTime + 0.6);
  tone.frequency.value = 880;
  tone.start();
  tone.stop(sound.currentTime + 0.6);
  tone.addEventListener("ended", () => sound.close());
};
const acknowledge = async (id) => {
  const by = remembered("me");
  try {
    const answer = await fetch(`/api/v1/alerts/${encodeURIComponent(id)}/ack`, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(by ? { by } : {}),
    });
    put($("alerts-note"), answer.ok ? "" : say("failed", (await fault(answer)).message));
  } catch (error) {
    put($("alerts-note"), say("failed", error.message));
  }
};
const showAlerts = () => {
  if (!alerts) return;
  const rank = { critical: 0, warning: 1, info: 2 };
  const sorted = [...alerts].sort((a, b) => (a.status === "acknowledged") - (b.status === "acknowledged")
    || (rank[a.severity] ?? 3) - (rank[b.severity] ?? 3) || String(b.raised_at).localeCompare(String(a.raised_at)));
  // The list holds the pressing ones only; how many there are is told with the figures.
  const open = live?.alerts_open ? Object.values(live.alerts_open).reduce((sum, n) => sum + n, 0) : alerts.length;
  put($("alerts-title"), say("open_alerts", Math.max(open, alerts.length)));
  const more = (shown) => Math.max(open, alerts.length) - Math.min(shown, alerts.length);
  // Written first: it takes a line of the room.
  put($("alerts-note"), more(SHOWN_ON_WALL) > 0 ? say("more", more(SHOWN_ON_WALL)) : "");
  const shown = onWall.matches ? roomOnWall("alerts", "right", { height: 58, gap: 6, least: 1, most: SHOWN_ON_WALL }) : SHOWN_ALERTS;
  keyed($("alerts"), sorted.slice(0, shown), (alert) => alert.id, (alert) => {
    const row = make("li", [make("span"), make("a"), make("span", "", "facts"), make("button", "")]);
    row.children[1].href = `/alerts?id=${encodeURIComponent(alert.id)}`;
    row.children[3].type = "button";
    row.children[3].addEventListener("click", () => acknowledge(alert.id));
    return row;
  }, (row, alert) => {
    row.className = alert.severity;
    const [kind, shape] = { critical: ["poor", "■"], warning: ["fair", "▲"] }[alert.severity] ?? ["", "●"];
    row.children[0].className = kind;
    put(row.children[0], `${shape} ${say(alert.severity)}`);
    put(row.children[1], language() === "zh" ? alert.title_zh ?? alert.title : alert.title);
    const taken = alert.status === "acknowledged";
    put(row.children[2], [alert.raised_at && moment(alert.raised_at, live?.timezone, CLOCK), alert.queue, taken && say("taken", alert.acknowledged_by)].filter(Boolean).join(" · "));
    row.children[3].hidden = taken;
    put(row.children[3], say("take"));
  });
  put($("alerts-note"), more(shown) > 0 ? say("more", more(shown)) : "");
};
const hearAlerts = async () => {
  try {
    const served = await (await fetch("/api/v1/openapi.json")).json();
    if (!served.paths["/api/v1/alerts/stream"]) return;
  } catch {
    setTimeout(hearAlerts, 5000);
    return;
  }
  $("alerts-part").hidden = false;
  const source = new EventSource(`/api/v1/alerts/stream?limit=${HEARD_ALERTS}`);
  source.addEventListener("alerts", (event) => {
    alerts = JSON.parse(event.data);
    const pressing = alerts.filter((alert) => alert.status !== "acknowledged" && alert.severity !== "info").map((alert) => alert.id);
    // What was open when the page came is no news.
    if (known && $("sound").checked && pressing.some((id) => !known.has(id))) beep();
    known = new Set([...(known ?? []), ...pressing]);
    showAlerts();
  });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(hearAlerts, 2000);
  });
};

// ---- all of it

const show = () => {
  if (!live) return;
  // A queue has a series of each channel it was ever configured or seen with; those without any traffic beside one
  // that has some only take room, and so do contacts that never came to a queue.
  const quiet = (queue) => !queue.offered && !queue.waiting && !queue.active;
  const queues = live.queues ?? [];
  const alive = new Set(queues.filter((queue) => !quiet(queue)).map((queue) => queue.queue));
  const shown = queues.filter((queue) => queue.queue && !(quiet(queue) && alive.has(queue.queue)));
  goal = live.service_level_goal ?? goal;
  for (const kind of ["good", "fair", "poor"]) put(document.querySelector(`.legend [data-text=${kind}]`), say(kind));
  showBig(queues.filter((queue) => queue.queue));
  const pipeline = live.pipeline ?? {};
  const empty = shown.every(quiet) ? (pipeline.events === 0 ? "nothing_yet" : "nothing_today") : "";
  // Partitions that no instance of the fleet shows: a part must not be taken for the whole.
  const lacking = live.missing?.length ? say("lacking", live.missing.join(", ")) : "";
  put($("empty"), lacking || (empty && say(empty)));
  $("empty").hidden = !lacking && !empty;
  const agents = live.agents ?? {};
  const states = [...STATES.filter((name) => name in agents), ...Object.keys(agents).filter((name) => !STATES.includes(name)).sort()];
  tiles($("agents"), states.map((name) => [say(name), count(agents[name])]));
  const slot = live.slot ?? {};
  tiles($("slot"), [
    ["offered", count(slot.offered)], ["forecast", is(expectedNow()) ? count(Math.round(expectedNow())) : null],
    ["answered_slot", count(slot.answered)], ["abandoned_slot", count(slot.abandoned)], ["aht", seconds(slot.aht_seconds)],
    ["required", is(slot.agents_required) ? count(slot.agents_required) : null], ["staffed", is(slot.agents_staffed) ? count(Math.round(slot.agents_staffed)) : null],
  ].filter(([, value]) => value !== null).map(([name, value]) => [say(name), value]));
  tiles($("pipeline"), [
    [say("lag"), count(pipeline.lag)], [say("watermark"), is(pipeline.watermark) ? moment(pipeline.watermark, live.timezone, MINUTE) : "–"], [say("events"), count(pipeline.events)],
  ]);
  if (is(live.now)) put($("clock"), moment(live.now, live.timezone));
  showDrill();
  showSlots();
  showAlerts();
  showQueues(shown);
};

const watch = () => {
  const age = performance.now() - seen;
  const old = !live || age > STALE_MS;
  put($("age"), live ? say("age", Math.floor(age / 1000)) : "");
  const text = !old || (!live && age <= STALE_MS) ? "" : live ? say("stale", Math.floor(age / 1000)) : say("waiting_for");
  put($("stale"), text);
  $("stale").hidden = text === "";
  document.body.classList.toggle("old", text !== "");
};

const listen = () => {
  const source = new EventSource("/api/v1/stream");
  source.addEventListener("live", (event) => {
    live = JSON.parse(event.data);
    seen = performance.now();
    show();
    watch();
  });
  // The browser comes back by itself, but not after a refusal.
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  });
};

begin(TEXTS, () => { show(); showAlerts(); watch(); });
$("filter").addEventListener("input", () => show());
$("order").value = ORDERS[remembered("order")] ? remembered("order") : "pressure";
$("order").addEventListener("change", () => { remember("order", $("order").value); show(); });
$("more").addEventListener("click", () => { rowsWanted += ROWS_MORE; show(); });
$("fewer").addEventListener("click", () => { rowsWanted = ROWS_AT_FIRST; show(); });
$("sound").checked = remembered("sound") === "on";
$("sound").addEventListener("change", () => {
  remember("sound", $("sound").checked ? "on" : "off");
  if ($("sound").checked) beep();
});
addEventListener("hashchange", readHash);
new ResizeObserver(() => { fitBig(); show(); }).observe($("slots"));
readHash();
listen();
askSlots();
hearAlerts();
setInterval(watch, 500);
