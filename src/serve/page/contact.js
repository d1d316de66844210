// Shows one contact as /api/v1/contacts/ID tells it; while it is open, each second.
import {
  $, CLOCK, begin, count, fault, is, keyed, make, moment, put, quote, say, seconds, tiles,
} from "/common.js";
import { svg, ticks } from "/chart.js";

const TEXTS = {
  en: {
    title: (id) => `Contact ${id}`, open: "● open: follows what happens", over: (outcome) => `ended: ${outcome}`,
    unknown: (id) => `There is no contact ${id}. It may not have reached callpulse yet, or its rows may have been removed after their time.`,
    not_yours: "You may not see this contact.", reading: "reading …", failed: (text) => `This contact could not be read: ${text}`,
    stale: (s) => `No answer from callpulse for ${s} s: this may be old.`, age: (s) => `asked ${s} s ago`,
    timeline: "Timeline", with_talk: "Utterances", with_course: "Course",
    left_off: (shown, all) => `The first ${shown} of ${all} utterances are shown; SQL has all of them.`,
    legs: "Legs: visits to queues", handlings: "Handlings: agents' parts", restated: "Restatements",
    restated_means: "Rows of this contact that had been written and were corrected by later events.", in_sql: "Ask about this contact in SQL",
    queue: "Queue", entered: "Entered", left: "Left", wait: "Wait", outcome: "Outcome", in_time: "In time", agent: "Agent",
    anomalies: "Anomalies", answered_at: "Answered", talk: "Talk", hold: "Hold", acw: "After-contact work", handle: "Handle time",
    transferred: "Passed on to", ended_by: "Ended by", channel: "Channel", direction: "Direction", customer: "Customer", tier: "Tier",
    topic: "Topic", started: "Started", ended: "Ended", lasted: "Lasted", transfers: "Transfers", first_response: "First response",
    resolved: "Resolved", disposition: "Disposition", mood_customer: "Customer's sentiment", mood_agent: "Agent's sentiment",
    mood_lowest: "Lowest sentiment", keywords: "Keywords", department: "Department", messages: "Utterances", yes: "yes", no: "no",
    inbound: "Inbound", outbound: "Outbound", bot_outcome: "Bot", handover: "Handed over",
    e_started: "The contact arrives", e_bot_started: "The bot takes over", e_bot_ended: (how) => `The bot is done: ${how}`,
    e_queued: (leg, queue) => `Enters the queue ${queue} (leg ${leg})`, e_left: (queue, how) => `Leaves the queue ${queue}: ${how}`,
    e_offered: (agent) => `Rings at ${agent}`, e_missed: (agent) => `${agent} does not take it`,
    e_answered: (agent, n) => `${agent} answers (handling ${n})`, e_held: (agent) => `${agent} puts on hold`, e_resumed: (agent) => `${agent} is back`,
    e_talk_end: (agent) => `The talk of ${agent} ends`, e_passed: (agent, to) => `${agent} passes on to ${to}`, e_wrapped: (agent) => `${agent} is done`,
    e_ended: "The contact ends", e_survey: "The customer answers a survey", e_complaint: (status) => `Complaint: ${status}`,
    e_promise: "A promise is made", e_promise_kept: "The promise is kept", due: (when) => `due ${when}`, e_restated: "Rows were corrected",
    after: (time) => `after ${time}`, holds: (n, time) => `on hold ${n}×, ${time} in all`,
    by_customer: "by the customer", by_agent: "by the agent", by_system: "by the system", by_transfer: "by the transfer",
    customer_says: "Customer", agent_says: "Agent", bot_says: "Bot", system_says: "System", partial: "unfinished",
    sentiment: (value) => `sentiment ${value}`, revision: (from, to) => `revision ${from} → ${to}`, before: "Before", then: "After", cause: (what) => `because of ${what}`,
    course: (n, m, time) => `Course of the contact: ${n} legs and ${m} handlings in ${time}.`, bot: "Bot",
    k_wait: "Wait", k_talk: "Talk", k_hold: "Hold", k_acw: "After-contact work", k_bot: "Bot",
    opened: "opened", contacted: "customer contacted", resolved_status: "resolved", closed_status: "closed", reopened: "reopened", withdrawn: "withdrawn",
  },
  zh: {
    title: (id) => `联络 ${id}`, open: "● 进行中：实时更新", over: (outcome) => `已结束：${outcome}`,
    unknown: (id) => `没有联络 ${id}。它可能尚未到达 callpulse，或其数据已按保留期删除。`,
    not_yours: "您无权查看此联络。", reading: "读取中……", failed: (text) => `无法读取此联络：${text}`,
    stale: (s) => `callpulse 已 ${s} 秒没有响应：数据可能已过期。`, age: (s) => `${s} 秒前查询`,
    timeline: "时间线", with_talk: "对话", with_course: "过程",
    left_off: (shown, all) => `仅显示 ${all} 条对话中的前 ${shown} 条；全部可用 SQL 查询。`,
    legs: "排队段：进入队列的记录", handlings: "处理段：客服处理的记录", restated: "更正记录",
    restated_means: "该联络已写入的数据，被后来的事件更正。", in_sql: "用 SQL 查询此联络",
    queue: "队列", entered: "进入", left: "离开", wait: "等待", outcome: "结果", in_time: "及时", agent: "客服",
    anomalies: "异常", answered_at: "应答", talk: "通话", hold: "保持", acw: "话后处理", handle: "处理时长",
    transferred: "转给", ended_by: "结束方", channel: "渠道", direction: "方向", customer: "客户", tier: "等级",
    topic: "主题", started: "开始", ended: "结束", lasted: "历时", transfers: "转接次数", first_response: "首次响应",
    resolved: "是否解决", disposition: "小结", mood_customer: "客户情绪", mood_agent: "客服情绪",
    mood_lowest: "最低情绪", keywords: "关键词", department: "部门", messages: "对话条数", yes: "是", no: "否",
    inbound: "呼入", outbound: "呼出", bot_outcome: "机器人", handover: "转人工",
    e_started: "联络到达", e_bot_started: "机器人接待", e_bot_ended: (how) => `机器人结束：${how}`,
    e_queued: (leg, queue) => `进入队列 ${queue}（第 ${leg} 段）`, e_left: (queue, how) => `离开队列 ${queue}：${how}`,
    e_offered: (agent) => `振铃 ${agent}`, e_missed: (agent) => `${agent} 未接`,
    e_answered: (agent, n) => `${agent} 应答（第 ${n} 次处理）`, e_held: (agent) => `${agent} 保持通话`, e_resumed: (agent) => `${agent} 恢复通话`,
    e_talk_end: (agent) => `${agent} 通话结束`, e_passed: (agent, to) => `${agent} 转给 ${to}`, e_wrapped: (agent) => `${agent} 处理完毕`,
    e_ended: "联络结束", e_survey: "客户完成满意度调查", e_complaint: (status) => `投诉：${status}`,
    e_promise: "作出承诺", e_promise_kept: "承诺已兑现", due: (when) => `期限 ${when}`, e_restated: "数据被更正",
    after: (time) => `用时 ${time}`, holds: (n, time) => `保持 ${n} 次，共 ${time}`,
    by_customer: "客户", by_agent: "客服", by_system: "系统", by_transfer: "转接",
    customer_says: "客户", agent_says: "客服", bot_says: "机器人", system_says: "系统", partial: "未完成",
    sentiment: (value) => `情绪 ${value}`, revision: (from, to) => `版本 ${from} → ${to}`, before: "更正前", then: "更正后", cause: (what) => `原因：${what}`,
    course: (n, m, time) => `联络过程：${n} 个排队段，${m} 次处理，历时 ${time}。`, bot: "机器人",
    k_wait: "等待", k_talk: "通话", k_hold: "保持", k_acw: "话后处理", k_bot: "机器人",
    opened: "已立案", contacted: "已联系客户", resolved_status: "已解决", closed_status: "已结案", reopened: "重新打开", withdrawn: "已撤回",
  },
};

const OPEN_MS = 1000;
const CLOSED_MS = 10000;
const WHOLE_MS = 15000;
const STALE_MS = 5000;
const id = decodeURIComponent(location.pathname.split("/").slice(2).join("/"));

let told = null;
let tag = null;
let absent = null;
let answered = performance.now();
let whole = 0;

const at = (time) => (time === null || time === undefined ? null : Date.parse(time));
const ms = (value) => seconds(is(value) ? value / 1000 : null);
const clock = (time) => moment(time, told?.timezone, CLOCK);
/** The centre's present, between two answers too. */
const present = () => told.now + (told.open ? performance.now() - told.came : 0);
const yes = (value) => (value === null || value === undefined ? "–" : value ? say("yes") : say("no"));
const mood = (value) => (!is(value) ? null : value >= 0.2 ? ["good", "●"] : value > -0.2 ? ["plain", "▲"] : ["poor", "■"]);
const moodText = (value) => (is(value) ? `${mood(value)[1]} ${value.toFixed(2)}` : "–");
const outcome = (value) => (value === null ? say("in_progress") : say(value));
const agent = (name) => name ?? say("agent");
const STATUS = { open: "opened", contacted: "contacted", resolved: "resolved_status", closed: "closed_status", reopened: "reopened", withdrawn: "withdrawn" };

// ---- what happened, in order

/** Of what happens at the same instant, the law of the events says what comes first. */
const RANKS = ["started", "bot", "queued", "offered", "missed", "answered", "held", "resumed", "left", "talk-end", "ended", "wrapped"];
const rank = ({ kind }) => (RANKS.includes(kind) ? RANKS.indexOf(kind) : RANKS.length);

const moments = () => {
  const { contact, legs, handlings, messages, moments: rest, surveys, complaints, promises, restatements } = told;
  const out = [];
  const add = (time, kind, key, text, detail, more = {}) => { if (time !== null) out.push({ time, kind, key: `${kind} ${key}`, text, detail, ...more }); };
  add(at(contact.started_at), "started", "", say("e_started"), [say(contact.direction ?? ""), say(contact.channel ?? ""), contact.topic].filter(Boolean).join(" · "));
  for (const event of rest) {
    const kind = event.type.replace("contact.", "");
    const time = at(event.time);
    if (kind === "bot_ended") add(time, "bot", event.id, say("e_bot_ended", say(event.detail ?? "")));
    else if (kind === "bot_started") add(time, "bot", event.id, say("e_bot_started"));
    else add(time, kind, event.id, say(`e_${kind}`, agent(event.agent_id)));
  }
  for (const leg of legs) {
    add(at(leg.queued_at), "queued", leg.leg, say("e_queued", leg.leg, leg.queue ?? "–"), "", { flags: leg.anomalies });
    // An answered leg ends with the answer, which the handling tells.
    if (leg.left_at !== null && leg.outcome !== "answered") {
      add(at(leg.left_at), "left", leg.leg, say("e_left", leg.queue ?? "–", outcome(leg.outcome)), say("after", ms(leg.wait_ms)));
    }
  }
  for (const part of handlings) {
    const leg = legs.find((leg) => leg.leg === part.leg);
    const waited = leg && is(leg.wait_ms) ? `${say("wait")} ${ms(leg.wait_ms)}` : "";
    add(at(part.started_at), "answered", part.handling, say("e_answered", agent(part.agent_id), part.handling), [part.queue, waited].filter(Boolean).join(" · "), { flags: part.anomalies });
    const talk = [`${say("talk")} ${ms(part.talk_ms)}`, part.holds > 0 ? say("holds", part.holds, ms(part.hold_ms)) : ""].filter(Boolean).join(" · ");
    if (part.ended_at !== null) {
      const text = part.transferred_to ? say("e_passed", agent(part.agent_id), part.transferred_to) : say("e_talk_end", agent(part.agent_id));
      add(at(part.ended_at), "talk-end", part.handling, text, [part.ended_by ? say(`by_${part.ended_by}`) : "", talk].filter(Boolean).join(" · "));
    }
    if (part.wrapped_at !== null) add(at(part.wrapped_at), "wrapped", part.handling, say("e_wrapped", agent(part.agent_id)), `${say("acw")} ${ms(part.acw_ms)}`);
  }
  add(at(contact.ended_at), "ended", "", say("e_ended"), outcome(contact.outcome), { flags: contact.anomalies });
  for (const message of messages) out.push({ time: at(message.time), kind: "message", key: `message ${message.id}`, message });
  for (const survey of surveys) {
    const marks = ["csat", "nps", "ces"].filter((name) => is(survey[name])).map((name) => `${name.toUpperCase()} ${survey[name]}`);
    add(at(survey.time), "survey", survey.id, say("e_survey"), [...marks, survey.comment].filter(Boolean).join(" · "));
  }
  for (const complaint of complaints) {
    for (const [status, field] of [["open", "opened_at"], ["contacted", "contacted_at"], ["resolved", "resolved_at"], ["closed", "closed_at"], ["reopened", "reopened_at"], ["withdrawn", "withdrawn_at"]]) {
      const detail = status === "open" ? [complaint.complaint_id, complaint.category, complaint.text] : status === "resolved" ? [complaint.complaint_id, complaint.verdict, complaint.cause] : [complaint.complaint_id];
      add(at(complaint[field]), "complaint", `${complaint.complaint_id} ${status}`, say("e_complaint", say(STATUS[status])), detail.filter(Boolean).join(" · "));
    }
  }
  for (const promise of promises) {
    add(at(promise.made_at), "promise", `${promise.promise_id} made`, say("e_promise"), promise.due ? say("due", moment(promise.due, told.timezone)) : "");
    add(at(promise.kept_at), "promise", `${promise.promise_id} kept`, say("e_promise_kept"));
  }
  for (const restated of restatements) {
    add(at(restated.watermark), "restated", restated.old_revision, say("e_restated"), `${say("revision", restated.old_revision, restated.new_revision)} · ${say("cause", restated.cause)}`);
  }
  const [talk, course] = [$("with-talk").checked, $("with-course").checked];
  return out.filter((entry) => (entry.kind === "message" ? talk : course)).sort((a, b) => a.time - b.time || rank(a) - rank(b));
};

/** `category:phrase` pairs. */
const hits = (text) => (text ? text.split(";").filter(Boolean).map((hit) => {
  const cut = hit.indexOf(":");
  return cut < 0 ? { category: "", phrase: hit } : { category: hit.slice(0, cut), phrase: hit.slice(cut + 1) };
}) : []);

/** The text with the phrases marked. */
const marked = (text, found) => {
  const line = make("p", null, "text");
  const low = text.toLowerCase();
  const places = found.map((hit) => [low.indexOf(hit.phrase.toLowerCase()), hit.phrase.length])
    .filter(([from, length]) => from >= 0 && length > 0).sort((a, b) => a[0] - b[0]);
  let done = 0;
  // A text whose length changes in lower case has other places; then nothing is marked.
  for (const [from, length] of low.length === text.length ? places : []) {
    if (from < done) continue;
    line.append(text.slice(done, from), make("mark", text.slice(from, from + length)));
    done = from + length;
  }
  line.append(text.slice(done));
  return line;
};

const flagged = (flags) => (flags ? flags.split(";").filter(Boolean).map((flag) => make("span", `⚠ ${flag}`, "flag")) : []);

const body = (entry) => {
  if (entry.kind !== "message") {
    return make("div", [make("b", entry.text), ...(entry.detail ? [" · ", entry.detail] : []), ...flagged(entry.flags)], "what");
  }
  const { message } = entry;
  const found = hits(message.hits);
  const felt = mood(message.sentiment);
  const who = make("span", [say(`${message.speaker}_says`), message.agent_id && message.speaker === "agent" ? ` ${message.agent_id}` : "",
    message.final === false ? ` (${say("partial")})` : "", is(message.duration_ms) ? ` · ${ms(message.duration_ms)}` : ""], "who");
  const box = make("div", [who], "what");
  if (felt) {
    const made = make("span", ` ${moodText(message.sentiment)}`, felt[0]);
    made.title = say("sentiment", message.sentiment.toFixed(2));
    box.append(made);
  }
  box.append(marked(message.text ?? "", found));
  for (const hit of found) box.append(make("span", hit.category ? `${hit.category}: ${hit.phrase}` : hit.phrase, "chip"));
  return box;
};

const showTimeline = () => {
  const start = at(told.contact.started_at);
  keyed($("timeline"), moments(), (entry) => entry.key, (entry) => {
    const time = document.createElement("time");
    time.append(make("span", "", "offset"), make("span", ""));
    return make("li", [time, make("div")]);
  }, (row, entry) => {
    const sign = JSON.stringify([entry, document.documentElement.lang]);
    if (row.dataset.sign === sign) return;
    row.dataset.sign = sign;
    row.className = entry.kind === "message" ? `message ${entry.message.speaker}` : entry.kind;
    const time = row.firstChild;
    time.dateTime = new Date(entry.time).toISOString();
    put(time.children[0], is(start) ? `+${ms(entry.time - start)}` : "");
    put(time.children[1], clock(entry.time));
    row.replaceChild(body(entry), row.lastChild);
  });
  const { length } = told.messages;
  put($("left-off"), told.contact.messages > length ? say("left_off", length, told.contact.messages) : "");
};

// ---- the course as a picture

const showCourse = () => {
  const { contact, legs, handlings, messages, moments: rest } = told;
  const start = at(contact.started_at);
  const end = Math.max(told.open ? present() : start + 1000, at(contact.ended_at) ?? start + 1000,
    ...handlings.map((part) => at(part.wrapped_at) ?? start), ...legs.map((leg) => at(leg.left_at) ?? start),
    ...messages.slice(-1).map((message) => at(message.time)));
  const width = Math.max(320, $("course").clientWidth - 14);
  const [left, right, row] = [Math.min(170, width * 0.3), 16, 24];
  const x = (time) => left + ((width - left - right) * (time - start)) / (end - start || 1);
  const lanes = [];
  const bot = [at(rest.find((event) => event.type === "contact.bot_started")?.time), at(rest.find((event) => event.type === "contact.bot_ended")?.time)];
  if (bot[0] !== null) lanes.push({ name: say("bot"), spans: [["bot", bot[0], bot[1] ?? at(contact.ended_at) ?? end]] });
  for (const leg of legs) lanes.push({ name: leg.queue ?? "–", spans: [["wait", at(leg.queued_at), at(leg.left_at) ?? end]] });
  for (const part of handlings) {
    const spans = [["talk", at(part.started_at), at(part.ended_at) ?? end]];
    if (part.ended_at !== null) spans.push(["acw", at(part.ended_at), at(part.wrapped_at) ?? end]);
    let held = null;
    for (const event of rest.filter((event) => event.agent_id === part.agent_id && at(event.time) >= at(part.started_at) && at(event.time) <= (at(part.ended_at) ?? end))) {
      if (event.type === "contact.held") held ??= at(event.time);
      else if (event.type === "contact.resumed" && held !== null) { spans.push(["hold", held, at(event.time)]); held = null; }
    }
    if (held !== null) spans.push(["hold", held, at(part.ended_at) ?? end]);
    lanes.push({ name: agent(part.agent_id), spans });
  }
  const height = 26 + lanes.length * row + (messages.length ? row : 0);
  const drawn = svg("svg", {
    viewBox: `0 0 ${width} ${height}`, width, height, role: "img", class: "course",
    "aria-label": say("course", legs.length, handlings.length, ms(end - start)),
  });
  const total = (end - start) / 1000;
  for (const value of ticks(0, total, Math.max(2, Math.floor(width / 140))).filter((value) => value <= total)) {
    const place = x(start + value * 1000);
    drawn.append(svg("line", { x1: place, x2: place, y1: 18, y2: height, class: "grid" }));
    drawn.append(svg("text", { x: place, y: 12, "text-anchor": "middle" }, seconds(value)));
  }
  lanes.forEach((lane, place) => {
    const y = 24 + place * row;
    const name = [...lane.name];
    const room = Math.floor(left / 9);
    drawn.append(svg("text", { x: left - 8, y: y + 13, "text-anchor": "end", class: "name" }, name.length > room ? `${name.slice(0, room - 1).join("")}…` : lane.name));
    for (const [kind, from, to] of lane.spans) {
      const made = svg("rect", { x: x(from), y: kind === "hold" ? y + 4 : y, width: Math.max(2, x(to) - x(from)), height: kind === "hold" ? 8 : 16, class: kind });
      made.append(svg("title", {}, `${lane.name}: ${say(`k_${kind}`)} ${ms(to - from)}`));
      drawn.append(made);
    }
  });
  messages.forEach((message) => {
    const [kind, shape] = mood(message.sentiment) ?? ["plain", "▪"];
    const made = svg("text", { x: x(at(message.time)), y: 24 + lanes.length * row + (message.speaker === "customer" ? 10 : 18), "text-anchor": "middle", class: kind }, message.sentiment === null ? "▪" : shape);
    made.append(svg("title", {}, `${say(`${message.speaker}_says`)} ${clock(message.time)}`));
    drawn.append(made);
  });
  const keys = ["bot", "wait", "talk", "hold", "acw"].filter((kind) => lanes.some((lane) => lane.spans.some(([name]) => name === kind)));
  $("course").replaceChildren(drawn, make("p", keys.map((kind) => make("span", say(`k_${kind}`), `key ${kind}`)), "keys"));
};

// ---- tables

const rows = (list, items, key, values) => keyed(list, items, key, (item) => {
  const name = make("th");
  name.scope = "row";
  return make("tr", [name, ...values(item).slice(1).map(() => make("td"))]);
}, (row, item) => values(item).forEach((value, place) => put(row.children[place], String(value))));

const showTables = () => {
  const { contact, legs, handlings, restatements } = told;
  const lasted = (at(contact.ended_at) ?? present()) - at(contact.started_at);
  const entries = [
    ["channel", say(contact.channel ?? "–")], ["direction", contact.direction && say(contact.direction)], ["topic", contact.topic],
    ["customer", contact.customer_id], ["tier", contact.tier], ["department", contact.department],
    ["started", moment(contact.started_at, told.timezone)], ["ended", contact.ended_at && moment(contact.ended_at, told.timezone)], ["lasted", ms(lasted)],
    ["wait", ms(contact.wait_ms)], ["handle", ms(contact.handle_ms)], ["transfers", count(contact.transfers)],
    ["first_response", is(contact.first_response_ms) ? ms(contact.first_response_ms) : null], ["messages", count(contact.messages)],
    ["bot_outcome", contact.bot_outcome && say(contact.bot_outcome)], ["resolved", contact.resolved === null ? null : yes(contact.resolved)], ["disposition", contact.disposition],
    ["mood_customer", is(contact.sentiment_customer) ? moodText(contact.sentiment_customer) : null, mood(contact.sentiment_customer)?.[0]],
    ["mood_agent", is(contact.sentiment_agent) ? moodText(contact.sentiment_agent) : null, mood(contact.sentiment_agent)?.[0]],
    ["mood_lowest", is(contact.sentiment_lowest) ? moodText(contact.sentiment_lowest) : null, mood(contact.sentiment_lowest)?.[0]],
    ["keywords", contact.keywords && contact.keywords.replaceAll(";", ", ")], ["anomalies", contact.anomalies],
  ];
  tiles($("facts"), entries.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value, kind]) => [say(name), value, kind]));
  rows($("legs"), legs, (leg) => leg.leg, (leg) => [
    leg.leg, leg.queue ?? "–", clock(leg.queued_at), leg.left_at === null ? "–" : clock(leg.left_at),
    ms(leg.wait_ms ?? present() - at(leg.queued_at)), leg.outcome === null ? say("waits") : say(leg.outcome), yes(leg.in_time), leg.agent_id ?? "–", leg.anomalies ?? "–",
  ]);
  rows($("handlings"), handlings, (part) => part.handling, (part) => [
    part.handling, part.agent_id ?? "–", part.queue ?? "–", clock(part.started_at), ms(part.talk_ms), part.holds > 0 ? `${ms(part.hold_ms)} (${part.holds}×)` : ms(part.hold_ms),
    ms(part.acw_ms), ms(part.handle_ms), part.transferred_to ?? "–", part.ended_by ? say(`by_${part.ended_by}`) : "–", part.anomalies ?? "–",
  ]);
  $("restated").hidden = restatements.length === 0;
  const pretty = (text) => { try { return JSON.stringify(JSON.parse(text), null, 1); } catch { return text ?? "–"; } };
  keyed($("restatements"), restatements, (row) => row.old_revision, () => make("li", [make("span"), make("details", [make("summary"), make("h3"), make("pre"), make("h3"), make("pre")])]), (made, row) => {
    put(made.firstChild, `${clock(row.watermark)} · ${say("revision", row.old_revision, row.new_revision)} · ${say("cause", row.cause)}`);
    const [summary, before, old, then, next] = made.lastChild.children;
    put(summary, `${say("before")} / ${say("then")}`);
    put(before, say("before"));
    put(then, say("then"));
    for (const [box, text] of [[old, pretty(row.old)], [next, pretty(row.new)]]) {
      put(box, text);
      box.tabIndex = 0;
    }
  });
};

const show = () => {
  document.title = `callpulse · ${say("title", id)}`;
  put($("title"), say("title", id));
  put($("absent"), absent ? say(...absent) : "");
  $("absent").hidden = !absent;
  $("known").hidden = $("rest").hidden = !told;
  const q = quote(id);
  $("in-sql").href = `/sql#${new URLSearchParams({ sql: `SELECT * FROM legs WHERE contact_id = ${q} ORDER BY leg` })}`;
  if (!told) { put($("state"), absent ? "" : say("reading")); return; }
  put($("state"), told.open ? say("open") : say("over", outcome(told.contact.outcome)));
  $("state").className = told.open ? "good" : "";
  showTables();
  showCourse();
  showTimeline();
};

const watch = () => {
  const age = performance.now() - answered;
  put($("age"), told ? say("age", Math.floor(age / 1000)) : "");
  const limit = Math.max(STALE_MS, told && !told.open ? CLOSED_MS + STALE_MS : 0);
  // An unknown contact is not asked for again.
  const text = age > limit && !absent ? say("stale", Math.floor(age / 1000)) : "";
  put($("stale"), text);
  $("stale").hidden = text === "";
  document.body.classList.toggle("old", text !== "");
};

const poll = async () => {
  const began = performance.now();
  try {
    // The tag tells of the course; what comes beside it (a survey, a complaint) is looked for now and then.
    const headers = tag && began - whole < WHOLE_MS ? { "if-none-match": tag } : {};
    const answer = await fetch(`/api/v1/contacts/${encodeURIComponent(id)}`, { headers, cache: "no-store", signal: AbortSignal.timeout(60000) });
    if (answer.status === 200) {
      tag = answer.headers.get("etag");
      whole = began;
      told = await answer.json();
      told.came = performance.now();
      const { contact, legs, handlings } = told;
      told.open = contact.ended_at === null || legs.some((leg) => leg.outcome === null) || handlings.some((part) => part.wrapped_at === null);
      absent = null;
      answered = performance.now();
      show();
    } else if (answer.status === 304) {
      answered = performance.now();
    } else if (answer.status === 404 || answer.status === 403) {
      absent = answer.status === 404 ? ["unknown", id] : ["not_yours"];
      told = null;
      show();
      watch();
      return;
    } else {
      const told_fault = await fault(answer);
      // Busy is not a fault to be shown: the next question may be answered.
      if (!told && answer.status !== 503) { absent = ["failed", told_fault.message]; show(); absent = null; }
    }
  } catch { /* the age tells that nobody answers */ }
  watch();
  const pause = !told || told.open ? OPEN_MS : CLOSED_MS;
  setTimeout(poll, Math.max(pause, 2 * (performance.now() - began)));
};

begin(TEXTS, () => { show(); watch(); });
for (const name of ["with-talk", "with-course"]) $(name).addEventListener("change", () => { if (told) showTimeline(); });
new ResizeObserver(() => { if (told) showCourse(); }).observe($("course"));
show();
poll();
setInterval(() => {
  watch();
  if (told?.open) { showTables(); showCourse(); }
}, 1000);
