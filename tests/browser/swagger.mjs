// Walks through Swagger UI in a browser as a person would: light and dark, with real clicks and nothing edited.
//
//     node tests/browser/swagger.mjs http://127.0.0.1:5173 [FOLDER FOR SCREENSHOTS]
//
// Needs the npm package playwright-core and a Chromium (CHROMIUM, or /usr/bin/chromium). The last line is
// 'N passed, N failed'; the exit status is 1 when a check failed.

import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(`${process.env.NODE_MODULES ?? process.cwd()}/`);
const { chromium } = require("playwright-core");
const [base, folder] = process.argv.slice(2);
const counts = { passed: 0, failed: 0 };

function check(what, ok, detail = "") {
  counts[ok ? "passed" : "failed"] += 1;
  console.log(`${ok ? "ok  " : "FAIL"}  ${what}${ok ? "" : `: ${detail}`}`);
}

const same = (what, found, wanted) =>
  check(what, JSON.stringify(found) === JSON.stringify(wanted), `${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`);

const spec = await (await fetch(`${base}/openapi.json`)).json();
const tagged = spec.tags.map(({ name }) => name);
const operations = Object.entries(spec.paths)
  .flatMap(([path, item]) => Object.entries(item).map(([method, operation]) => ({ path, method, ...operation })))
  .sort((one, other) => tagged.indexOf(one.tags[0]) - tagged.indexOf(other.tags[0]));
const blockOf = ({ tags, operationId }) => `operations-${tags[0].replaceAll(" ", "_")}-${operationId}`;

// Nothing of the examples makes these: a person takes the ids from answers before.
const NEED_AN_ID = [
  "addThreadComment", "findFeedbackScoreNames_1", "findFeedbackScoreNames_2", "findTokenUsageNames",
  "getFeedbackDefinitionById", "getProjectById", "getProjectMetrics", "getSpanComment", "getThreadComment",
  "getRecentActivity", "getTraceComment", "updateFeedbackDefinition", "updateProject", "updateSpanComment", "updateThread",
  "updateThreadComment", "updateTraceComment",
];
// This leads to a page of a user interface, which is not there.
const LEADS_AWAY = "projectsRedirect";
// What the others need is made by the operations before them; deleting comes last.
const isDelete = ({ operationId }) => operationId.startsWith("delete");
const isCreate = ({ operationId }) => operationId.startsWith("create") || operationId === "uploadAttachment";
// A configuration is there once a workspace was set up.
const isFirst = (operation) => isCreate(operation) || operation.operationId === "upsertWorkspaceConfiguration";
// What was made would be gone.
const isReset = ({ operationId }) => operationId === "resetData";
const rank = (operation) => (isReset(operation) ? -1 : isFirst(operation) ? 0 : isDelete(operation) ? 2 : 1);
const unedited = operations
  .filter(({ operationId }) => !NEED_AN_ID.includes(operationId) && operationId !== LEADS_AWAY)
  .sort((one, other) => rank(one) - rank(other));

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync",
    "--disable-component-update"],
});

// A page on which every error, every breach of the policy and every request to elsewhere is noted.
const trouble = [];
const elsewhere = [];
async function open(address) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1000 }, colorScheme: "light" });
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && trouble.push(message.text()));
  page.on("pageerror", (error) => trouble.push(String(error)));
  page.on("request", (request) => {
    if (![base, "data:", "blob:"].some((start) => request.url().startsWith(start))) elsewhere.push(request.url());
  });
  await page.addInitScript(() =>
    addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`)));
  await page.goto(`${base}${address}`);
  return page;
}

const shoot = (page, name) => folder && page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
const shown = (page) => page.locator(".opblock").evaluateAll((blocks) => blocks.map((block) => block.id));
const unfolded = (page) => page.locator(".opblock.is-open").evaluateAll((blocks) => blocks.map((block) => block.id));

async function unfold(page, id) {
  const block = page.locator(`#${id}`);
  if (!(await block.getAttribute("class")).includes("is-open")) await block.locator(".opblock-summary-control").click();
  await block.locator("button.execute").waitFor();
  return block;
}

// Follows a link to an operation. The page scrolls there: what moves cannot be clicked.
async function arrived(page) {
  await page.waitForSelector(".opblock.is-open");
  await page.evaluate(async () => {
    for (let [still, top] = [0, scrollY]; still < 30; [still, top] = [scrollY === top ? still + 1 : 0, scrollY]) {
      await new Promise(requestAnimationFrame);
    }
  });
}

// Presses Execute; returns what is shown of the answer.
async function execute(page, block) {
  const answered = page.waitForResponse((response) => !response.url().includes("/swagger-ui/"));
  await block.locator("button.execute").click();
  await answered;
  const live = block.locator(".live-responses-table tbody .response-col_status").first();
  await live.waitFor();
  const table = block.locator(".live-responses-table");
  return { status: (await live.innerText()).trim().split(/\s/)[0], text: await table.innerText() };
}

// The list: everything is there in the document's order, folded, and can be filtered.
let page = await open("/swagger-ui/");
await page.waitForSelector(".opblock");
const ids = operations.map(blockOf);
same("the tags stand in the order of the document",
  await page.locator(".opblock-tag").evaluateAll((tags) => tags.map((tag) => tag.dataset.tag)), spec.tags.map(({ name }) => name));
same("the operations stand in the order of the document", await shown(page), ids);
same("they are folded", await unfolded(page), []);
check("the schemas are folded", (await page.locator(".models.is-open").count()) === 0);
await shoot(page, "list-light");
const filter = page.locator(".operation-filter-input");
for (const [phrase, wanted] of [
  ["check", operations.filter(({ tags, summary }) => tags[0] === "Check" || summary.startsWith("Check "))],
  ["FEEDBACK", operations.filter(({ path }) => path.includes("feedback"))],
  ["createspan", operations.filter(({ operationId }) => operationId.startsWith("createSpan"))],
  ["no such thing", []],
  ["", operations],
]) {
  await filter.fill(phrase);
  const wantedIds = wanted.map(blockOf);
  await page.waitForFunction((count) => document.querySelectorAll(".opblock").length === count, wanted.length).catch(() => {});
  same(`the filter finds ${JSON.stringify(phrase)}`, await shown(page), wantedIds);
}
await page.close();

// From the home page: create a span, find it in the list, read it.
page = await open("/");
await page.getByRole("link", { name: "Explore the API" }).click();
await arrived(page);
same("the link on the home page unfolds Create span, and nothing else", await unfolded(page), ["operations-Spans-createSpan"]);
check("it is in sight", await page.locator("#operations-Spans-createSpan .opblock-summary").evaluate((summary) => {
  const { top } = summary.getBoundingClientRect();
  return top >= 0 && top < innerHeight;
}));
let block = await unfold(page, "operations-Spans-createSpan");
let answer = await execute(page, block);
same("Create span, as it is filled in", answer.status, "201");
check("how long it took is shown", /Request duration\s+\d+ ms/i.test(answer.text), answer.text);
const snippet = await block.locator(".request-snippets").innerText();
check("the request is shown for curl", /curl -X 'POST'/.test(snippet) && snippet.includes(`'${base}/v1/private/spans'`), snippet);
const location = answer.text.match(/location:\s*(\S+)/i)?.[1] ?? "";
const id = location.split("/").pop();
check("its Location is shown", /\/v1\/private\/spans\/[0-9a-f-]{36}$/.test(location), answer.text);
await shoot(page, "created-light");
const { example } = spec.paths["/v1/private/spans"].post.requestBody.content["application/json"];
block = await unfold(page, "operations-Spans-getSpansByProject");
// Its trace, since a server in use has many others.
await block.locator('tr[data-param-name="trace_id"] input').fill(example.trace_id);
answer = await execute(page, block);
same("Get spans by project", answer.status, "200");
check("the list has the span", answer.text.includes(id), answer.text);
await shoot(page, "listed-light");
block = await unfold(page, "operations-Spans-getSpanById");
await block.locator('tr[data-param-name="id"] input').fill(id);
answer = await execute(page, block);
same("Get span by id", answer.status, "200");
check("it is the span that was filled in", answer.text.includes(id) && answer.text.includes(example.name), answer.text);
await page.close();

// Everything that needs no id from an answer, as it is filled in.
page = await open("/swagger-ui/");
await page.waitForSelector(".opblock");
for (const operation of unedited) {
  const { operationId, responses } = operation;
  const { status } = await execute(page, await unfold(page, blockOf(operation)));
  // Where the document names no success, the default is one.
  const successes = Object.keys(responses).filter((named) => named.startsWith("2"));
  check(`${operationId}, as it is filled in`, successes.length ? successes.includes(status) : status === "200", status);
  await page.locator(`#${blockOf(operation)} .opblock-summary-control`).click();
}
await page.close();

// What is written can be read, light and dark; a page that is open follows the system.
for (const [address, name] of [["/", "home"], ["/swagger-ui/#/Spans/createSpan", "createSpan"], ["/swagger-ui/#/Spans/getSpanStats", "getSpanStats"]]) {
  page = await open(address);
  if (name !== "home") {
    await arrived(page);
    same(`the link to ${name} unfolds it`, await unfolded(page), [`operations-Spans-${name}`]);
    await execute(page, await unfold(page, `operations-Spans-${name}`));
  }
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    if (name !== "home") await page.locator(scheme === "dark" ? "html.dark-mode" : "html:not(.dark-mode)").waitFor();
    await readable(page, `${name}, ${scheme}`, scheme);
    await shoot(page, `${name}-${scheme}`);
  }
  await page.close();
}

// Fails unless the page is as bright as it should be, and every text stands out from what is behind it.
async function readable(page, what, scheme) {
  const { brightness, faint } = await page.evaluate(async () => {
    // Some colours change gradually.
    await Promise.allSettled(document.getAnimations().map((animation) => animation.finished));
    const parse = (color) => (color.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
    const over = ([r, g, b, a = 1], below) => [r, g, b].map((value, index) => value * a + below[index] * (1 - a));
    const luminance = (color) => {
      const [r, g, b] = color.map((value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const canvas = matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
    const behind = (element) => {
      const below = element.parentElement ? behind(element.parentElement) : canvas;
      return over(parse(getComputedStyle(element).backgroundColor), below);
    };
    const faint = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const element = texts.currentNode.parentElement;
      const text = texts.currentNode.textContent.trim();
      if (!text || !element.checkVisibility() || element.closest("script, style, option")) continue;
      const background = behind(element);
      const [one, other] = [luminance(over(parse(getComputedStyle(element).color), background)), luminance(background)];
      const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
      if (contrast < 3) faint.push(`${element.tagName}.${element.className} ${JSON.stringify(text.slice(0, 30))} ${contrast.toFixed(1)}`);
    }
    return { brightness: luminance(behind(document.body)), faint: [...new Set(faint)] };
  });
  check(`${what}: the background is ${scheme}`, scheme === "dark" ? brightness < 0.1 : brightness > 0.8, brightness);
  check(`${what}: every text can be read`, faint.length === 0, `\n      ${faint.join("\n      ")}`);
}

check("no error in the console, no breach of the policy", trouble.length === 0, trouble.join("; "));
check("no request to another host", elsewhere.length === 0, elsewhere.join("; "));
await browser.close();
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exit(counts.failed ? 1 : 0);
