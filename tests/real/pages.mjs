// Drives the pages with Chromium; see pages.sh. Every process that is started here is ended here.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createWriteStream, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import path from "node:path";

const [, , callpulse, work, shots] = process.argv;
const modules = createRequire(path.join(process.env.PAGES_MODULES, "here.js"));
const { chromium } = modules("playwright-core");
const axe = readFileSync(modules.resolve("axe-core/axe.min.js"), "utf8");

const say = (text) => console.log(`  ${text}`);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const until = async (what, seconds, check) => {
  const end = Date.now() + seconds * 1000;
  let last = null;
  while (Date.now() < end) {
    try {
      const found = await check();
      if (found) return found;
    } catch (error) { last = error; }
    await sleep(50);
  }
  throw new Error(`not within ${seconds} s: ${what}${last ? ` (${last.message})` : ""}`);
};

// ---- processes

const children = new Set();
const start = (name, args) => {
  const child = spawn(callpulse, args, { stdio: ["ignore", "pipe", "pipe"] });
  const log = createWriteStream(path.join(work, `${name}.log`), { flags: "a" });
  child.text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => { child.text += data; log.write(data); });
  child.ended = new Promise((done) => child.on("exit", done));
  children.add(child);
  return child;
};
const stop = async (child, signal = "SIGTERM") => {
  child.kill(signal);
  const late = setTimeout(() => child.kill("SIGKILL"), 60_000);
  await child.ended;
  clearTimeout(late);
  children.delete(child);
};
const freePort = () => new Promise((done) => {
  const server = createServer();
  server.listen(0, "127.0.0.1", () => { const { port } = server.address(); server.close(() => done(port)); });
});
const live = async (base) => (await fetch(`${base}/api/v1/live`)).json();
const sql = async (base, text) => {
  const answer = await fetch(`${base}/api/v1/sql`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ sql: text }) });
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
};

let broker = "";
const TOPIC = "pages.events";
let ids = 0;
/** Sends events to Kafka; done once the broker has them. */
const send = (...events) => new Promise((done, failed) => {
  const child = spawn("kcat", ["-P", "-b", broker, "-t", TOPIC, "-K", "\t", "-q", "-X", "linger.ms=0"], { stdio: ["pipe", "ignore", "inherit"] });
  child.on("exit", (code) => (code === 0 ? done() : failed(new Error(`kcat ends with ${code}`))));
  child.stdin.end(events.map((event) => {
    ids += 1;
    return `${event.contact_id ?? event.agent_id}\t${JSON.stringify({ id: `page-${ids}`, time: Date.now(), channel: "voice", ...event })}\n`;
  }).join(""));
});

// ---- the browser

const SIZES = { tv: [1920, 1080], wall: [1720, 900], screen: [1366, 768], phone: [390, 844] };
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const faults = [];
/** A page that notes each error of the console but those that the test provokes. */
const open = async (url, { locale = "en-US", dark = false, size = "screen", allowed = null } = {}) => {
  const [width, height] = SIZES[size];
  const context = await browser.newContext({ viewport: { width, height }, locale, colorScheme: dark ? "dark" : "light", acceptDownloads: true });
  const page = await context.newPage();
  page.allowed = allowed;
  page.on("console", (message) => {
    if (message.type() === "error" && !page.allowed?.test(message.text())) faults.push(`${url}: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`${url}: ${error.message}`));
  page.setDefaultTimeout(120_000);
  await page.goto(url);
  return page;
};
const shot = async (page, name) => { if (shots) await page.screenshot({ path: path.join(shots, `${name}.png`), fullPage: true }); };
const axeClean = async (page, name) => {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  assert.deepEqual(serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(" ")).join(", ")}`), [], `axe on ${name}`);
};
const fits = async (page, name) => {
  const [wide, inner] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= inner, `${name} is ${wide} wide in a window of ${inner}`);
};
const LANGUAGES = [["en-US", "en"], ["zh-CN", "zh"]];

// ---- the checks

const httpPort = await freePort();
const own = `http://127.0.0.1:${httpPort}`;
const runArgs = () => ["run", "--http", `127.0.0.1:${httpPort}`, "--pg", "127.0.0.1:0", "--flight", "127.0.0.1:0", "--data-dir", path.join(work, "own"),
  "--set", `kafka.brokers=${broker}`, "--set", `kafka.topics=[{name="${TOPIC}",format="callpulse"}]`, "--set", "kafka.group=pages"];
/** What this build's `run` does not know is left out. */
const known = spawn(callpulse, ["run", "--help"]);
let help = "";
known.stdout.on("data", (data) => { help += data; });
await new Promise((done) => known.on("exit", done));
const knownArgs = () => {
  const args = runArgs();
  return args.filter((arg, at) => ![arg, args[at - 1]].some((name) => ["--pg", "--flight"].includes(name) && !help.includes(name)));
};

const empty = async () => {
  for (const [locale, language] of LANGUAGES) {
    const page = await open(own, { locale });
    await page.waitForSelector("#empty:not([hidden])");
    const text = await page.textContent("#empty");
    assert.match(text, language === "zh" ? /中心目前为空/ : /This centre is empty/);
    assert.equal(await page.locator("#stale").isHidden(), true);
    await axeClean(page, `the empty wallboard in ${language}`);
    await shot(page, `empty-${language}`);
    await page.context().close();
  }
  say("an empty centre says so in both languages");
};

const events = async (page) => {
  await send({ type: "agent.state", agent_id: "A1", state: "available" });
  await until("the first event is read", 120, async () => (await live(own)).pipeline.events > 0);
  const took = [];
  for (let turn = 1; turn <= 5; turn += 1) {
    const queue = `probe ${turn}`;
    const shown = page.waitForFunction((name) => {
      const row = [...document.querySelectorAll("#queues tr")].find((row) => row.children[0].textContent === name);
      return row?.children[2].textContent.includes("1") && Date.now();
    }, queue, { polling: 10 });
    await send({ type: "contact.queued", contact_id: `probe-${turn}`, queue });
    const sent = Date.now();
    // From when the service has it: how long the broker and a busy machine take is not the page's.
    await until("the event is read", 30, async () => (await live(own)).queues.some((series) => series.queue === queue && series.waiting === 1));
    const read = Date.now();
    const at = await (await shown).jsonValue();
    took.push(Math.max(0, at - read));
    if (turn === 1) say(`an event is on the wallboard ${Math.max(0, at - sent)} ms after the broker had it`);
  }
  took.sort((a, b) => a - b);
  assert.ok(took[2] <= 1000, `the page shows events after ${took.join(", ")} ms`);
  say(`live: the page shows an event after ${took.join(", ")} ms`);
  const waiting = Number((await sql(own, "SELECT SUM(waiting) AS n FROM live_queues"))[0].n);
  assert.equal(Number(await page.textContent("[data-figure=waiting] dd")), waiting, "the wallboard and SQL disagree");
  assert.equal(await page.locator("#empty").isHidden(), true);
};

const contact = async (board) => {
  // From the queue to its newest contact, by keyboard alone.
  await board.getByRole("link", { name: "probe 1", exact: true }).focus();
  await board.keyboard.press("Enter");
  await board.waitForSelector("#newest a");
  assert.match(await board.textContent("#drill-title"), /probe 1/);
  await axeClean(board, "the wallboard with a queue");
  await board.locator("#newest a").first().focus();
  await board.keyboard.press("Enter");
  await board.waitForURL("**/contacts/probe-1");
  const page = board;
  await page.waitForSelector("#timeline .queued");
  assert.match(await page.textContent("#state"), /open/);
  await send({ type: "contact.answered", contact_id: "probe-1", agent_id: "A1" }, { type: "contact.held", contact_id: "probe-1", agent_id: "A1" });
  await page.waitForSelector("#timeline .held");
  await send({ type: "contact.resumed", contact_id: "probe-1", agent_id: "A1" },
    { type: "message", contact_id: "probe-1", from: "customer", text: "<b>My card 4111 1111 1111 1111 was lost</b>" });
  await page.waitForSelector("#timeline .message");
  const text = await page.textContent("#timeline .message .text");
  assert.ok(text.startsWith("<b>My card") && !text.includes("4111 1111 1111 1111"), `the text is not masked, or not text: ${text}`);
  await send({ type: "contact.ended", contact_id: "probe-1", by: "customer" }, { type: "contact.wrapped", contact_id: "probe-1", agent_id: "A1" });
  await page.waitForFunction(() => /ended/.test(document.getElementById("state").textContent));
  assert.equal(await page.locator("#handlings tr").count(), 1);
  assert.equal(await page.locator("#legs tr").count(), 1);
  await page.uncheck("#with-talk");
  await until("utterances go", 10, async () => (await page.locator("#timeline .message").count()) === 0);
  await axeClean(page, "the contact page");
  await shot(page, "contact-own");
  say("a contact is reached by keyboard and followed to its end");
  for (const [locale, language] of LANGUAGES) {
    const answer = await fetch(`${own}/contacts/nobody`);
    assert.equal(answer.status, 404);
    const page = await open(`${own}/contacts/${encodeURIComponent("nobody' OR '1'='1")}`, { locale, allowed: /status of 404/ });
    await page.waitForSelector("#absent:not([hidden])");
    assert.match(await page.textContent("#absent"), language === "zh" ? /没有联络 nobody/ : /no contact nobody/);
    await page.context().close();
  }
  say("an unknown contact is said to be unknown, with 404");
};

const statements = async () => {
  for (const [locale, language] of LANGUAGES) {
    const page = await open(`${own}/sql`, { locale });
    await page.waitForSelector("#examples button");
    const examples = await page.locator("#examples button").count();
    const idle = () => page.waitForFunction(() => document.getElementById("stop").disabled);
    for (let at = 0; at < (language === "en" ? examples : 1); at += 1) {
      await page.locator("#examples button").nth(at).click();
      await idle();
      assert.equal(await page.textContent("#fault"), "", await page.inputValue("#statement"));
    }
    await page.fill("#statement", "SELECT * FROM (VALUES ('a', 1, 2.5), ('b', 3, NULL), ('丙', 5, 1)) AS t (name, one, other)");
    await page.press("#statement", "Control+Enter");
    await page.waitForSelector("#rows tr:nth-child(3)");
    await page.waitForSelector("#chart svg rect.bar");
    assert.equal(await page.locator("#rows .null").count(), 1);
    await page.selectOption("#kind", "line");
    await page.waitForSelector("#chart svg path");
    await axeClean(page, `the SQL page in ${language}`);
    await shot(page, `sql-${language}`);
    const [file] = await Promise.all([page.waitForEvent("download"), page.click("#csv")]);
    assert.equal(readFileSync(await file.path(), "utf8"), "\ufeffname,one,other\na,1,2.5\nb,3,\n丙,5,1.0\n");
    page.allowed = /status of 400/;
    await page.fill("#statement", "\n  SELECT 1,\n    nonsense FROM legs");
    await page.press("#statement", "Control+Enter");
    await page.waitForSelector("#fault pre");
    await page.click("#fault button");
    const marked = await page.evaluate(() => { const { value, selectionStart, selectionEnd } = document.getElementById("statement"); return value.slice(selectionStart, selectionEnd); });
    assert.equal(marked, "nonsense");
    await axeClean(page, `a fault in ${language}`);
    await page.fill("#look", "queued_at");
    await page.waitForSelector("#schema li");
    await page.fill("#statement", "SELECT ");
    await page.getByRole("button", { name: /queued_at/ }).first().click();
    assert.match(await page.inputValue("#statement"), /SELECT queued_at/);
    await page.context().close();
    if (language === "en") say(`SQL: ${examples} examples are answered; keyboard, chart, CSV and the place of a fault`);
  }
};

const thousand = async () => {
  const wanted = 1000;
  await send(...Array.from({ length: wanted }, (_, at) => ({ type: "contact.queued", contact_id: `many-${at}`, queue: `queue ${String(at).padStart(4, "0")}` })));
  await until("a thousand queues", 120, async () => (await live(own)).queues.filter((series) => series.waiting > 0).length >= wanted);
  const page = await open(own);
  await page.waitForFunction(() => document.getElementById("shown").textContent.startsWith("40 of 1"));
  assert.equal(await page.locator("#queues tr").count(), 40);
  await page.click("#more");
  await page.waitForFunction(() => document.querySelectorAll("#queues tr").length === 240);
  // What a second costs the page in CPU time, so that a busy machine does not count.
  const tools = await page.context().newCDPSession(page);
  await tools.send("Performance.enable", { timeDomain: "threadTicks" });
  const spent = async () => (await tools.send("Performance.getMetrics")).metrics.find(({ name }) => name === "TaskDuration").value;
  const [before, began] = [await spent(), Date.now()];
  await sleep(10_000);
  const busy = (await spent() - before) / ((Date.now() - began) / 1000);
  assert.ok(busy > 0 && busy < 0.5, `with 1,000 queues the page takes ${busy} s of CPU in a second`);
  await page.fill("#filter", "queue 0777");
  await page.waitForFunction(() => document.querySelectorAll("#queues tr").length === 1);
  await page.fill("#filter", "");
  await page.selectOption("#order", "name");
  await page.waitForFunction(() => document.querySelector("#queues th").textContent.startsWith("probe"));
  await page.click("#fewer");
  await fits(page, "the wallboard with 1,000 queues");
  await axeClean(page, "the wallboard with 1,000 queues");
  say(`1,000 queues: ${Math.round(busy * 1000)} ms of CPU a second with 240 rows shown; filtered and ordered`);
  return page;
};

const loss = async (page, running) => {
  page.allowed = /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|ERR_ABORTED|status of 503/;
  const before = (await page.textContent("#shown"));
  await stop(running);
  const gone = Date.now();
  await page.waitForSelector("#stale:not([hidden])", { timeout: 10_000 });
  say(`the loss of the server shows after ${Date.now() - gone} ms`);
  await axeClean(page, "the wallboard without its server");
  await shot(page, "lost");
  const again = start("run", knownArgs());
  await until("the server is back", 120, async () => (await live(own)).queues.length >= 1000);
  await page.waitForSelector("#stale", { state: "hidden", timeout: 20_000 });
  await page.waitForFunction((text) => document.getElementById("shown").textContent === text, before);
  say("the wallboard comes back by itself with the server");
  await page.context().close();
  return again;
};

const looks = async (base) => {
  for (const [locale, language] of LANGUAGES) {
    for (const [size, [width]] of Object.entries(SIZES)) {
      const dark = (size === "tv") === (language === "en");
      const page = await open(base, { locale, size, dark });
      await page.waitForSelector("#queues tr");
      await page.waitForSelector("#slots svg");
      await fits(page, `the wallboard on a ${size} in ${language}`);
      if (size === "tv" || size === "wall") {
        // Nobody scrolls a screen on the wall: what comes in while it is filled finds its room within the next looks.
        await page.waitForFunction(() => document.documentElement.scrollHeight <= innerHeight + 1, null, { timeout: 5_000 }).catch(() => {});
        const [high, seen] = await page.evaluate(() => [document.documentElement.scrollHeight, innerHeight]);
        assert.ok(high <= seen + 1, `the wallboard on a tv is ${high} high in a window of ${seen}`);
        assert.match(await page.textContent("[data-figure=service_level] .goal"), /80/);
      }
      if (size !== "phone") {
        const digits = await page.evaluate(() => Math.min(...[...document.querySelectorAll("#big dd:not(.goal)")].map((made) => parseFloat(getComputedStyle(made).fontSize))));
        const longest = await page.evaluate(() => Math.max(...[...document.querySelectorAll("#big dd:not(.goal)")].map((made) => made.textContent.replace(/[^0-9]/g, "").length)));
        // Long figures are set smaller, so that none is cut off.
        assert.ok(digits >= (longest <= 3 ? 0.07 : 0.044) * width, `digits of ${digits} px on ${width} px`);
        const cut = await page.evaluate(() => [...document.querySelectorAll("#big div")].filter((box) => box.scrollWidth > box.clientWidth).map((box) => box.textContent));
        assert.deepEqual(cut, [], `cut off on a ${size}`);
      }
      await axeClean(page, `the wallboard on a ${size} in ${language}`);
      await shot(page, `wallboard-${size}-${language}-${dark ? "dark" : "light"}`);
      await page.context().close();
    }
  }
  say("the wallboard fits wall, screen and phone, light and dark, in both languages");
};

const alerts = async (base) => {
  const told = async (asked = "") => (await fetch(`${base}/api/v1/alerts${asked}`)).json();
  // Of a rule about words: others are over when the contact is, which may be before the page is looked at.
  const lasts = /^(customer_|forbidden_|regulator_|safety_)/;
  const about = await until("the demo has an alert about a contact", 180, async () =>
    (await told()).find((alert) => alert.contact_id && lasts.test(alert.rule) && alert.status !== "acknowledged"));
  const board = await open(base, { size: "tv", dark: true });
  await board.waitForSelector("#alerts li button:visible");
  const id = await board.locator("#alerts li").first().getAttribute("data-key");
  await board.locator("#alerts li button").first().click();
  await until("the board's alert is acknowledged", 20, async () => (await told(`?id=${id}`))[0]?.status === "acknowledged");
  await board.context().close();
  const meant = `${base}/alerts?id=${about.id}`;
  for (const [locale, language] of LANGUAGES) {
    for (const size of ["screen", "phone"]) {
      const page = await open(meant, { locale, size, dark: size === "phone" });
      await page.waitForSelector("#alerts li h3");
      await fits(page, `the alerts page on a ${size} in ${language}`);
      await axeClean(page, `the alerts page on a ${size} in ${language}`);
      await shot(page, `alerts-${size}-${language}`);
      await page.context().close();
    }
  }
  const page = await open(meant);
  await page.waitForSelector("#alerts li.meant");
  assert.equal(await page.locator("#alerts li").first().getAttribute("data-id"), about.id, "the alert that a link leads to is the first");
  await page.fill("#me", "Li Na");
  await page.locator("#alerts li.meant [data-deed=ack]").click();
  await page.waitForSelector("#alerts li.meant.acknowledged");
  assert.match(await page.textContent("#alerts li.meant .who"), /Li Na/);
  const contact = page.locator("#alerts li.meant a[href^='/contacts/']");
  assert.equal(await contact.getAttribute("href"), `/contacts/${encodeURIComponent(about.contact_id)}`);
  await page.locator("#alerts li.meant [data-deed=resolve]").click();
  // The link still shows it when it is over, and nothing is left to do about it.
  await page.waitForSelector("#alerts li.meant.resolved");
  assert.equal(await page.locator("#alerts li.meant button:visible").count(), 0);
  await page.context().close();
  const gone = await open(`${base}/alerts?id=0000000000000000`);
  await gone.waitForFunction(() => /not known here/.test(document.getElementById("none").textContent));
  await gone.context().close();
  say("alerts: acknowledged on the board and on the page, resolved, a link to the contact; links to what is over");
};

const drill = async (base) => {
  const page = await open(base);
  await page.waitForSelector("#queues tr");
  await page.hover("#queues");
  await page.locator("#queues a").first().click();
  await page.waitForSelector("#newest a");
  await page.locator("#newest a").first().click();
  await page.waitForSelector("#timeline li");
  await page.context().close();
  const [{ contact_id: id }] = await sql(base, "SELECT contact_id FROM contacts WHERE messages > 3 AND handlings > 0 AND ended_at IS NOT NULL ORDER BY transfers DESC LIMIT 1");
  for (const [locale, language] of LANGUAGES) {
    for (const size of ["screen", "phone"]) {
      const page = await open(`${base}/contacts/${encodeURIComponent(id)}`, { locale, size, dark: language === "zh" });
      await page.waitForSelector("#timeline .message");
      await fits(page, `the contact page on a ${size} in ${language}`);
      await axeClean(page, `the contact page on a ${size} in ${language}`);
      await shot(page, `contact-${size}-${language}`);
      await page.context().close();
    }
  }
  say("drill-down: from a queue to its newest contact");
};

let code = 0;
try {
  const demo = start("demo", ["demo", "--for", "60m", "--rate", "20", "--http", "127.0.0.1:0", "--pg", "127.0.0.1:0", "--flight", "127.0.0.1:0", "--data-dir", path.join(work, "demo")]);
  broker = await until("the demo names its broker", 120, () => /Kafka +(127\.0\.0\.1:\d+)/.exec(demo.text)?.[1]);
  const base = await until("the demo names its page", 10, () => /(http:\/\/127\.0\.0\.1:\d+)\//.exec(demo.text)?.[1]);
  let running = start("run", knownArgs());
  await until("the service answers", 120, async () => (await live(own)).now);
  await empty();
  const board = await open(own);
  await events(board);
  await contact(board);
  await board.context().close();
  await statements();
  running = await loss(await thousand(), running);
  await until("the demo has contacts", 120, async () => (await live(base)).queues.some((series) => series.offered > 0));
  await looks(base);
  await alerts(base);
  await drill(base);
  assert.deepEqual(faults, [], "errors in the console");
  say("no error in any console");
} catch (error) {
  console.error(`FAILED: ${error.stack}`);
  code = 1;
} finally {
  if (faults.length) writeFileSync(path.join(work, "console.log"), faults.join("\n"));
  await browser.close();
  await Promise.all([...children].map((child) => stop(child, "SIGKILL")));
}
process.exit(code);
