"use strict";
// Shows what /api/v1/stream tells each second. Text goes in as text, never as markup.
(() => {
  const TEXTS = {
    en: {
      slot: "This slot", queues: "Queues today", agents: "Agents", pipeline: "Data",
      queue: "Queue", channel: "Channel", waiting: "Waiting", longest: "Longest wait", active: "In progress",
      answer_rate: "Answer rate", service_level: "Service level", asa: "ASA", aht: "AHT",
      offered: "Offered", answered: "Answered", abandoned: "Abandoned", load_erlangs: "Load (Erlang)",
      none: "No queue has had a contact yet.", good: "80 % and more", fair: "60 to 80 %", poor: "below 60 %",
      lag: "Records behind", watermark: "Event time behind", events: "Events",
      alerts: "Alerts",
      age: (s) => `updated ${s} s ago`, stale: (s) => `These figures are ${s} s old: no connection to callpulse.`,
      waiting_for: "Waiting for the first figures: no connection to callpulse.",
      other: "中文", voice: "Voice", chat: "Chat", email: "E-mail", social: "Social", video: "Video", sms: "SMS",
      available: "Available", busy: "Busy", acw: "After-contact work", break: "Break", training: "Training",
      meeting: "Meeting", offline: "Offline",
    },
    zh: {
      slot: "当前时段", queues: "今日各队列", agents: "客服状态", pipeline: "数据",
      queue: "队列", channel: "渠道", waiting: "排队数", longest: "最长等待", active: "处理中",
      answer_rate: "接通率", service_level: "服务水平", asa: "平均应答速度", aht: "平均处理时长",
      offered: "进线量", answered: "接通量", abandoned: "放弃量", load_erlangs: "话务量（爱尔兰）",
      none: "尚无队列有进线。", good: "80% 及以上", fair: "60% 至 80%", poor: "60% 以下",
      lag: "积压记录数", watermark: "事件时间滞后", events: "事件数",
      alerts: "告警",
      age: (s) => `${s} 秒前更新`, stale: (s) => `数据已过期 ${s} 秒：与 callpulse 的连接中断。`,
      waiting_for: "正在等待首批数据：尚未连接 callpulse。",
      other: "English", voice: "语音", chat: "在线", email: "邮件", social: "社交", video: "视频", sms: "短信",
      available: "空闲", busy: "忙碌", acw: "话后处理", break: "小休", training: "培训",
      meeting: "会议", offline: "离线",
    },
  };
  const STALE_MS = 2500; // two ticks missed
  const STATES = ["available", "busy", "acw", "break", "training", "meeting", "other", "offline"];
  const $ = (id) => document.getElementById(id);
  const remembered = () => { try { return localStorage.getItem("language"); } catch { return null; } };
  let language = TEXTS[remembered()] ? remembered() : navigator.language.startsWith("zh") ? "zh" : "en";
  let live = null;
  let seen = performance.now();

  // "other" is the label of the language button; the agents' state of that name has its own.
  const say = (key) => (Object.hasOwn(TEXTS[language], key) ? TEXTS[language][key] : key);
  const state = (key) => (key === "other" ? (language === "zh" ? "其他" : "Other") : say(key));
  const is = (value) => typeof value === "number" && Number.isFinite(value);
  const count = (value) => (is(value) ? value.toLocaleString(language) : "–");
  const share = (value) => (is(value) ? `${(value * 100).toFixed(1)} %` : "–");
  const seconds = (value) => {
    if (!is(value)) return "–";
    const whole = Math.round(value);
    const two = (n) => String(n).padStart(2, "0");
    return whole < 3600
      ? `${Math.floor(whole / 60)}:${two(whole % 60)}`
      : `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  };

  const cell = (row, text, kind = "td") => {
    const made = document.createElement(kind);
    if (kind === "th") made.scope = "row";
    made.textContent = text;
    row.append(made);
    return made;
  };
  // Colour never stands alone: a shape says the same.
  const judged = (row, value) => {
    const made = cell(row, share(value));
    if (!is(value)) return;
    const [kind, shape] = value >= 0.8 ? ["good", "●"] : value >= 0.6 ? ["fair", "▲"] : ["poor", "■"];
    made.className = kind;
    made.textContent = `${shape} ${share(value)}`;
    made.title = say(kind);
  };
  const tiles = (id, entries) => {
    $(id).replaceChildren(...entries.map(([name, value]) => {
      const box = document.createElement("div");
      const term = document.createElement("dt");
      const figure = document.createElement("dd");
      term.textContent = name;
      figure.textContent = value;
      box.append(term, figure);
      return box;
    }));
  };

  const show = () => {
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
    for (const made of document.querySelectorAll("[data-text]")) made.textContent = say(made.dataset.text);
    $("language").textContent = say("other");
    if (!live) return;
    // A queue has a series of each channel it was ever configured or seen with; those without any traffic beside one
    // that has some only take room, and so do contacts that never came to a queue.
    const quiet = (queue) => !queue.offered && !queue.waiting && !queue.active;
    const alive = new Set((live.queues ?? []).filter((queue) => !quiet(queue)).map((queue) => queue.queue));
    const shown = (live.queues ?? []).filter((queue) => queue.queue && !(quiet(queue) && alive.has(queue.queue)));
    const queues = shown.sort((a, b) =>
      (b.waiting ?? 0) - (a.waiting ?? 0) || String(a.queue).localeCompare(String(b.queue)));
    $("queues").replaceChildren(...queues.map((queue) => {
      const row = document.createElement("tr");
      cell(row, queue.queue ?? "–", "th");
      cell(row, say(queue.channel ?? "–"));
      const waiting = cell(row, count(queue.waiting));
      if (queue.waiting > 0) { waiting.className = "fair"; waiting.textContent = `▲ ${count(queue.waiting)}`; }
      cell(row, seconds(queue.longest_wait_seconds));
      cell(row, count(queue.active));
      judged(row, queue.answer_rate);
      judged(row, queue.service_level);
      cell(row, seconds(queue.asa_seconds));
      cell(row, seconds(queue.aht_seconds));
      cell(row, count(queue.offered));
      cell(row, count(queue.answered));
      return row;
    }));
    $("none").hidden = queues.length > 0;
    const agents = live.agents ?? {};
    const known = STATES.filter((name) => name in agents);
    const further = Object.keys(agents).filter((name) => !STATES.includes(name)).sort();
    tiles("agents", [...known, ...further].map((name) => [state(name), count(agents[name])]));
    const slot = live.slot ?? {};
    tiles("slot", [
      ["offered", count(slot.offered)], ["answered", count(slot.answered)], ["abandoned", count(slot.abandoned)],
      ["answer_rate", share(slot.answer_rate)], ["service_level", share(slot.service_level)],
      ["aht", seconds(slot.aht_seconds)],
    ].map(([name, value]) => [say(name), value]));
    const pipeline = live.pipeline ?? {};
    const behind = is(pipeline.watermark) && is(live.now) ? Math.max(0, (live.now - pipeline.watermark) / 1000) : null;
    tiles("pipeline", [
      [say("lag"), count(pipeline.lag)], [say("watermark"), seconds(behind)], [say("events"), count(pipeline.events)],
    ]);
    if (is(live.now)) $("clock").textContent = new Date(live.now).toLocaleString(
      language === "zh" ? "zh-CN" : undefined, { timeZone: live.timezone });
  };

  const watch = () => {
    const age = performance.now() - seen;
    const old = !live || age > STALE_MS;
    $("age").textContent = live ? say("age")(Math.floor(age / 1000)) : "";
    // Text is set only when it changes, so that a screen reader is not told each second what it knows.
    const text = !old || (!live && age <= STALE_MS) ? "" : live ? say("stale")(Math.floor(age / 1000)) : say("waiting_for");
    if ($("stale").textContent !== text) $("stale").textContent = text;
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

  $("language").addEventListener("click", () => {
    language = language === "zh" ? "en" : "zh";
    try { localStorage.setItem("language", language); } catch { /* a private window forgets */ }
    show();
    watch();
  });
  show();
  listen();
  setInterval(watch, 500);
})();
