// Shows the open alerts as /api/v1/alerts/stream tells them, and acts on them.
import {
  $, CLOCK, begin, contactPath, fault, keyed, language, make, moment, put, remember, remembered, say, tiles,
} from "/common.js";

const TEXTS = {
  en: {
    duty: "On duty", open: "Open alerts", none: "Nothing is open.", me: "I am",
    ack: "I take care of it", resolve: "It is over", supervisor: "Supervisor", lead: "Team lead", next: "next",
    nobody: "nobody", queue: "Queue", agent: "Agent", contact: "Contact", dossier: "Case",
    customer: "customer", speaker_agent: "agent", bot: "bot", system: "system",
    critical: "Critical", warning: "Warning", info: "Info", told: "told", acked: "taken care of by",
    resolved: "over", by: "by", expired: "expired", unknown: "The alert of this link is not known here any more; the table alerts keeps it.",
    escalated: "escalated", unstaffed: "nobody was on duty", advice: "Advice", silenced: "silenced",
    count: (n) => (n === 1 ? "1 open alert" : `${n} open alerts`),
    more: (n) => `The ${n} most pressing are shown; the others come up as these are dealt with.`,
    done: "Done.", refused: (text) => `That was refused: ${text}`,
    stale: "No connection to callpulse: this list may be old.",
  },
  zh: {
    duty: "当前值班", open: "未结告警", none: "没有未结告警。", me: "我是",
    ack: "我来处理", resolve: "已解决", supervisor: "值班主管", lead: "班长", next: "下一班",
    nobody: "无人", queue: "队列", agent: "客服", contact: "联络", dossier: "单号",
    customer: "客户", speaker_agent: "客服", bot: "机器人", system: "系统",
    critical: "紧急", warning: "警告", info: "提示", told: "已通知", acked: "处理人",
    resolved: "已结束", by: "处理人", expired: "已过期", unknown: "此处已查不到链接中的告警，可在 alerts 表中查询。",
    escalated: "已升级", unstaffed: "当时无人值班", advice: "建议", silenced: "已静默",
    count: (n) => `${n} 条未结告警`,
    more: (n) => `显示最紧急的 ${n} 条，处理后其余告警会依次出现。`,
    done: "已完成。", refused: (text) => `操作被拒绝：${text}`,
    stale: "与 callpulse 的连接中断：列表可能已过期。",
  },
};
const SHOWN = 100;
const SHAPES = { critical: ["poor", "■"], warning: ["fair", "▲"] };

let alerts = null;
// What was acted on here stays in sight while it is open, also where more pressing ones fill the list.
const acted = new Map();
// The alert that a link led to, where it is not listed: over, or behind more pressing ones; undefined: not asked for yet, null: unknown.
let followed;
let duty = null;
let zone;
let open = null;
let connected = true;
let told = ["", null];
const asked = new URLSearchParams(location.search);
const meant = asked.get("id");
const token = asked.get("token");
// An agent's own page: /alerts?agent, or ?agent=ID for those who may see others'.
const mine = asked.has("agent");
const stream = mine
  ? `/api/v1/advice/stream?agent=${encodeURIComponent(asked.get("agent"))}` : `/api/v1/alerts/stream?limit=${SHOWN}`;
// The token need not stay in the address bar and in the history.
if (token) history.replaceState(null, "", `/alerts?id=${encodeURIComponent(meant ?? "")}`);

const clock = (time) => (time ? moment(time, zone, CLOCK) : "");

// Offsets are bytes of UTF-8.
const quoted = (quote) => {
  const who = quote.speaker === "agent" ? say("speaker_agent") : say(quote.speaker);
  const box = make("blockquote", `${who} ${clock(quote.time)}: `);
  const bytes = new TextEncoder().encode(quote.text);
  const part = (from, to) => new TextDecoder().decode(bytes.slice(from, to));
  if (quote.phrase && quote.end > quote.start && quote.end <= bytes.length) {
    box.append(part(0, quote.start), make("mark", part(quote.start, quote.end)), part(quote.end, bytes.length));
  } else {
    box.append(quote.text);
  }
  return box;
};

const act = async (id, deed) => {
  const by = $("me").value.trim();
  try {
    const answer = await fetch(`/api/v1/alerts/${encodeURIComponent(id)}/${deed}`, {
      method: "POST", headers: { "content-type": "application/json" },
      body: JSON.stringify(token && id === meant ? { token } : by ? { by } : {}),
    });
    told = answer.ok ? ["done", null] : ["refused", (await fault(answer)).message];
    if (answer.ok) acted.set(id, await answer.json());
  } catch (error) {
    told = ["refused", error.message];
  }
  show();
};

const link = (text, to) => {
  const made = make("a", text);
  made.href = to;
  return made;
};
/** Parts with a point between them; what is absent is left out. */
const joined = (parts) => parts.filter(Boolean).flatMap((part, place) => (place ? [" · ", part] : [part]));

const body = (alert) => {
  const zh = language() === "zh";
  const [kind, shape] = SHAPES[alert.severity] ?? ["", "●"];
  const parts = [make("h3", [make("span", `${shape} ${say(alert.severity)}`, kind), ` · ${zh ? alert.title_zh ?? alert.title : alert.title}`])];
  const queue = new URLSearchParams({ queue: alert.queue ?? "", channel: alert.channel ?? "" });
  parts.push(make("p", joined([
    clock(alert.event_time), alert.queue && link(`${say("queue")} ${alert.queue}`, `/#${queue}`), alert.channel && say(alert.channel),
    alert.agent_id && `${say("agent")} ${alert.agent_id}`,
    alert.contact_id && link(`${say("contact")} ${alert.contact_id}`, contactPath(alert.contact_id)),
    alert.dossier && `${say("dossier")} ${alert.dossier}`,
    ...Object.entries(alert.figures ?? {}).map(([name, value]) => `${name} ${Number(value.toFixed(3))}`),
  ]), "facts"));
  for (const quote of alert.evidence ?? []) parts.push(quoted(quote));
  const advice = zh ? alert.advice_zh ?? alert.advice : alert.advice;
  if (advice) parts.push(make("p", `${say("advice")}: ${advice}`));
  const who = joined([
    (alert.people_names ?? []).length > 0 && `${say("told")} ${alert.people_names.join(", ")}`,
    alert.escalations > 0 && `${say("escalated")} ${alert.escalations}×`,
    alert.unstaffed && say("unstaffed"),
    alert.status === "acknowledged" && `${say("acked")} ${alert.acknowledged_by}`,
    alert.status === "resolved" && `${say("resolved")} ${clock(alert.resolved_at)}${alert.resolved_by ? ` ${say("by")} ${alert.resolved_by}` : ""}`,
    alert.status === "expired" && `${say("expired")} ${clock(alert.expired_at)}`,
    alert.note,
  ]);
  if (who.length) parts.push(make("p", who, "who"));
  return parts;
};

const isOver = (alert) => alert.status === "resolved" || alert.status === "expired";
const row = (alert) => {
  const deeds = make("div", ["ack", "resolve"].map((deed) => {
    const button = make("button");
    button.type = "button";
    button.dataset.deed = deed;
    button.addEventListener("click", () => act(alert.id, deed));
    return button;
  }), "deeds");
  return make("li", [make("div", [], "what"), deeds]);
};
const fill = (made, alert) => {
  made.className = `${alert.severity} ${alert.status}${alert.id === meant ? " meant" : ""}`;
  made.dataset.id = alert.id;
  // What has not changed is left alone: neither a selection nor the focus is lost.
  const sign = JSON.stringify([alert, language(), zone]);
  if (made.dataset.sign === sign) return;
  made.dataset.sign = sign;
  made.firstChild.replaceChildren(...body(alert));
  // Agents act on their contact, not on the alert.
  made.lastChild.hidden = mine || isOver(alert);
  for (const button of made.lastChild.children) {
    put(button, say(button.dataset.deed));
    button.hidden = button.dataset.deed === "ack" && alert.status === "acknowledged";
  }
};

const show = () => {
  put($("stale"), connected ? "" : say("stale"));
  $("stale").hidden = connected;
  document.body.classList.toggle("old", !connected);
  put($("said"), told[0] && say(...told));
  $("said").hidden = !told[0];
  if (duty) {
    const named = (people) => people.map((person) => person.name).join(", ") || say("nobody");
    tiles($("duty"), [
      [say("supervisor"), named(duty.supervisor?.now ?? [])], [say("lead"), named(duty.lead?.now ?? [])],
      [`${say("supervisor")} · ${say("next")}`, duty.supervisor?.next?.name ?? say("nobody")],
    ]);
  }
  if (!alerts) return;
  // The server tells the pressing ones first; the one that a link led to goes before all.
  const listed = new Set(alerts.map((alert) => alert.id));
  const linked = followed && !listed.has(followed.id) ? [followed] : [];
  const kept = [...acted.values()].filter((alert) =>
    alert.status === "acknowledged" && !listed.has(alert.id) && alert.id !== linked[0]?.id);
  const over = linked.filter(isOver);
  const sorted = [...linked, ...alerts, ...kept].sort((a, b) => (b.id === meant) - (a.id === meant));
  keyed($("alerts"), sorted, (alert) => alert.id, row, fill);
  const unknown = followed === null && !listed.has(meant);
  $("none").hidden = sorted.length > over.length && !unknown;
  put($("none"), say(unknown ? "unknown" : "none"));
  const all = Math.max(open ?? 0, sorted.length - over.length);
  put($("count"), say("count", all));
  $("more").hidden = sorted.length < SHOWN || all <= sorted.length;
  put($("more"), say("more", sorted.length));
};

const listen = () => {
  const source = new EventSource(stream);
  source.addEventListener("alerts", (event) => {
    alerts = JSON.parse(event.data);
    connected = true;
    show();
    ask();
  });
  source.addEventListener("open", () => { connected = true; show(); });
  source.addEventListener("error", () => {
    connected = false;
    show();
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  });
};
let asks = false;
/** The zone, how many are open, and who is on duty. */
const ask = async () => {
  if (asks) return;
  asks = true;
  try {
    const paths = mine ? ["/api/v1/live"] : ["/api/v1/live", "/api/v1/oncall"];
    const [live, now] = await Promise.all(paths.map(async (path) => {
      const answer = await fetch(path);
      return answer.ok ? answer.json() : null;
    }));
    zone = live?.timezone ?? zone;
    open = !mine && live?.alerts_open ? Object.values(live.alerts_open).reduce((sum, n) => sum + n, 0) : null;
    duty = now ?? duty;
    if (meant && alerts && !mine && !alerts.some((alert) => alert.id === meant)) {
      const answer = await fetch(`/api/v1/alerts?id=${encodeURIComponent(meant)}`);
      if (answer.ok) [followed = null] = await answer.json();
    }
    show();
  } catch { /* the stream tells that there is no connection */ }
  asks = false;
};

$("me").value = remembered("me") ?? "";
$("me").addEventListener("change", () => remember("me", $("me").value.trim()));
$("duty").parentElement.hidden = mine;
begin(TEXTS, show);
listen();
ask();
setInterval(ask, 5000);
