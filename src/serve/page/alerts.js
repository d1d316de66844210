"use strict";
// Shows the open alerts as /api/v1/alerts/stream tells them, and acts on them. Text goes in as text, never as markup.
(() => {
  const TEXTS = {
    en: {
      duty: "On duty", open: "Open alerts", none: "Nothing is open.", me: "I am", other: "中文",
      ack: "I take care of it", resolve: "It is over", supervisor: "Supervisor", lead: "Team lead", next: "Next",
      nobody: "nobody", queue: "Queue", channel: "Channel", agent: "Agent", contact: "Contact", dossier: "Case",
      customer: "customer", speaker_agent: "agent", bot: "bot", system: "system",
      critical: "Critical", warning: "Warning", info: "Info", told: "told", acked: "taken care of by",
      escalated: "escalated", unstaffed: "nobody was on duty", advice: "Advice", silenced: "silenced",
      count: (n) => (n === 1 ? "1 open alert" : `${n} open alerts`),
      done: "Done.", refused: "That was refused: ",
      stale: "No connection to callpulse: this list may be old.",
    },
    zh: {
      duty: "当前值班", open: "未结告警", none: "没有未结告警。", me: "我是", other: "English",
      ack: "我来处理", resolve: "已解决", supervisor: "值班主管", lead: "班长", next: "下一班",
      nobody: "无人", queue: "队列", channel: "渠道", agent: "客服", contact: "联络", dossier: "单号",
      customer: "客户", speaker_agent: "客服", bot: "机器人", system: "系统",
      critical: "紧急", warning: "警告", info: "提示", told: "已通知", acked: "处理人",
      escalated: "已升级", unstaffed: "当时无人值班", advice: "建议", silenced: "已静默",
      count: (n) => `${n} 条未结告警`,
      done: "已完成。", refused: "操作被拒绝：",
      stale: "与 callpulse 的连接中断：列表可能已过期。",
    },
  };
  const $ = (id) => document.getElementById(id);
  const stored = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  const store = (name, value) => { try { localStorage.setItem(name, value); } catch { /* a private window forgets */ } };
  let language = TEXTS[stored("language")] ? stored("language") : navigator.language.startsWith("zh") ? "zh" : "en";
  let alerts = null;
  let duty = null;
  let connected = false;
  const asked = new URLSearchParams(location.search);
  const meant = asked.get("id");
  const token = asked.get("token");
  // An agent's own page: /alerts?agent, or ?agent=ID for those who may see others'.
  const mine = asked.has("agent");
  const stream = mine
    ? `/api/v1/advice/stream?agent=${encodeURIComponent(asked.get("agent"))}` : "/api/v1/alerts/stream";
  // The token need not stay in the address bar and in the history.
  if (token) history.replaceState(null, "", `/alerts?id=${encodeURIComponent(meant ?? "")}`);

  const say = (key) => (Object.hasOwn(TEXTS[language], key) ? TEXTS[language][key] : key);
  const make = (kind, text, name) => {
    const made = document.createElement(kind);
    if (text) made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  const clock = (time) => (time ? new Date(time).toLocaleTimeString(language === "zh" ? "zh-CN" : undefined) : "");

  // Offsets are bytes of UTF-8.
  const quoted = (quote) => {
    const box = make("blockquote");
    const who = quote.speaker === "agent" ? say("speaker_agent") : say(quote.speaker);
    box.append(`${who} ${clock(quote.time)}: `);
    const bytes = new TextEncoder().encode(quote.text);
    const part = (from, to) => new TextDecoder().decode(bytes.slice(from, to));
    if (quote.phrase && quote.end > quote.start && quote.end <= bytes.length) {
      box.append(part(0, quote.start), make("mark", part(quote.start, quote.end)), part(quote.end, bytes.length));
    } else {
      box.append(quote.text);
    }
    return box;
  };

  const act = async (id, deed, body) => {
    let text = say("done");
    try {
      const answer = await fetch(`/api/v1/alerts/${encodeURIComponent(id)}/${deed}`, {
        method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
      });
      if (!answer.ok) text = say("refused") + ((await answer.json()).error ?? answer.status);
    } catch (error) {
      text = say("refused") + error.message;
    }
    $("said").textContent = text;
    $("said").hidden = false;
  };

  const shown = (alert) => {
    const zh = language === "zh";
    const row = make("li", "", `${alert.severity} ${alert.status}`);
    if (alert.id === meant) row.classList.add("meant");
    row.append(make("h3", `${say(alert.severity)} · ${zh ? alert.title_zh : alert.title}`));
    const facts = [
      clock(alert.event_time), alert.queue && `${say("queue")} ${alert.queue}`, alert.channel,
      alert.agent_id && `${say("agent")} ${alert.agent_id}`, alert.contact_id && `${say("contact")} ${alert.contact_id}`,
      alert.dossier && `${say("dossier")} ${alert.dossier}`,
      ...Object.entries(alert.figures ?? {}).map(([name, value]) => `${name} ${Number(value.toFixed(3))}`),
    ];
    row.append(make("p", facts.filter(Boolean).join(" · "), "facts"));
    for (const quote of alert.evidence ?? []) row.append(quoted(quote));
    const advice = zh ? alert.advice_zh : alert.advice;
    if (advice) row.append(make("p", `${say("advice")}: ${advice}`));
    const who = [
      (alert.people_names ?? []).length > 0 && `${say("told")} ${alert.people_names.join(", ")}`,
      alert.escalations > 0 && `${say("escalated")} ${alert.escalations}×`,
      alert.unstaffed && say("unstaffed"),
      alert.status === "acknowledged" && `${say("acked")} ${alert.acknowledged_by}`,
      alert.note,
    ];
    if (who.some(Boolean)) row.append(make("p", who.filter(Boolean).join(" · "), "who"));
    const deeds = make("div", "", "deeds");
    const deed = (text, name) => {
      const button = make("button", text);
      button.type = "button";
      button.addEventListener("click", () => {
        const by = $("me").value.trim();
        act(alert.id, name, token && alert.id === meant ? { token } : by ? { by } : {});
      });
      deeds.append(button);
    };
    if (alert.status !== "acknowledged") deed(say("ack"), "ack");
    deed(say("resolve"), "resolve");
    // Agents act on their contact, not on the alert.
    if (!mine) row.append(deeds);
    return row;
  };

  const show = () => {
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
    for (const made of document.querySelectorAll("[data-text]")) made.textContent = say(made.dataset.text);
    $("language").textContent = say("other");
    $("stale").textContent = connected ? "" : say("stale");
    $("stale").hidden = connected;
    if (duty) {
      const named = (people) => people.map((person) => person.name).join(", ") || say("nobody");
      const tiles = [
        [say("supervisor"), named(duty.supervisor?.now ?? [])], [say("lead"), named(duty.lead?.now ?? [])],
        [`${say("supervisor")} · ${say("next")}`, duty.supervisor?.next?.name ?? say("nobody")],
      ];
      $("duty").replaceChildren(...tiles.map(([name, value]) => {
        const box = make("div");
        box.append(make("dt", name), make("dd", value));
        return box;
      }));
    }
    if (!alerts) return;
    const order = { critical: 0, warning: 1, info: 2 };
    const rank = (alert) => [alert.id === meant ? 0 : 1, alert.status === "acknowledged" ? 1 : 0, order[alert.severity] ?? 3];
    const sorted = [...alerts].sort((a, b) => {
      const [one, other] = [rank(a), rank(b)];
      const at = one.findIndex((value, place) => value !== other[place]);
      return at < 0 ? b.raised_at.localeCompare(a.raised_at) : one[at] - other[at];
    });
    // A list that is rebuilt under a pointer loses the click, so the button that has the focus gets it back.
    const focused = document.activeElement?.closest?.("li")?.dataset.id;
    $("alerts").replaceChildren(...sorted.map((alert) => {
      const row = shown(alert);
      row.dataset.id = alert.id;
      return row;
    }));
    if (focused) document.querySelector(`li[data-id="${CSS.escape(focused)}"] button`)?.focus();
    $("none").hidden = sorted.length > 0;
    $("count").textContent = say("count")(sorted.length);
  };

  const listen = () => {
    const source = new EventSource(stream);
    source.addEventListener("alerts", (event) => {
      alerts = JSON.parse(event.data);
      connected = true;
      show();
    });
    source.addEventListener("open", () => { connected = true; show(); });
    source.addEventListener("error", () => {
      connected = false;
      show();
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
    });
  };
  const ask = async () => {
    try {
      duty = await (await fetch("/api/v1/oncall")).json();
      show();
    } catch { /* the stream tells that there is no connection */ }
  };

  $("language").addEventListener("click", () => {
    language = language === "zh" ? "en" : "zh";
    store("language", language);
    show();
  });
  $("me").value = stored("me") ?? "";
  $("me").addEventListener("change", () => store("me", $("me").value.trim()));
  show();
  listen();
  $("duty").parentElement.hidden = mine;
  if (!mine) {
    ask();
    setInterval(ask, 5000);
  }
})();
