// Opens Swagger UI in a browser, and creates a span as a person would.
//
//     node tests/browser/swagger.mjs http://127.0.0.1:5173 [SCREENSHOT.png]
//
// Needs the npm package playwright-core and a Chromium (CHROMIUM, or /usr/bin/chromium). The last line is
// 'N passed, N failed'; the exit status is 1 when a check failed.

import { createRequire } from "node:module";

const require = createRequire(`${process.env.NODE_MODULES ?? process.cwd()}/`);
const { chromium } = require("playwright-core");
const [base, screenshot] = process.argv.slice(2);
const counts = { passed: 0, failed: 0 };

function check(what, ok, detail = "") {
  counts[ok ? "passed" : "failed"] += 1;
  console.log(`${ok ? "ok  " : "FAIL"}  ${what}${ok ? "" : `: ${detail}`}`);
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync",
    "--disable-component-update"],
});
const page = await browser.newPage({ viewport: { width: 1280, height: 1000 } });
const trouble = [];
const elsewhere = [];
page.on("console", (message) => message.type() === "error" && trouble.push(message.text()));
page.on("pageerror", (error) => trouble.push(String(error)));
page.on("request", (request) => {
  const url = request.url();
  if (!url.startsWith(base) && !url.startsWith("data:") && !url.startsWith("blob:")) elsewhere.push(url);
});

await page.goto(`${base}/`);
await page.click('a[href="swagger-ui/"]');
await page.waitForSelector(".opblock");
const document = await (await fetch(`${base}/openapi.json`)).json();
const operations = Object.values(document.paths).flatMap((item) => Object.keys(item)).length;
check("every operation is shown", (await page.locator(".opblock").count()) === operations, `of ${operations}`);

await page.click("#operations-Spans-createSpan .opblock-summary-control");
const operation = page.locator("#operations-Spans-createSpan");
await operation.locator("textarea.body-param__text").fill('{"start_time": "2024-01-15T09:30:00Z", "name": "from a browser"}');
await operation.locator("button.execute").click();
await operation.locator(".live-responses-table tbody .response-col_status").first().waitFor();
const status = (await operation.locator(".live-responses-table tbody .response-col_status").first().innerText()).trim();
check("Try it out creates a span", status.startsWith("201"), status);
const headers = await operation.locator(".live-responses-table").innerText();
const location = headers.match(/location:\s*(\S+)/i)?.[1] ?? "";
check("its Location is shown", location.includes("/v1/private/spans/"), headers);
const span = await (await fetch(new URL(location, base))).json();
check("the span is there", span.name === "from a browser", JSON.stringify(span));
check("no error in the console", trouble.length === 0, trouble.join("; "));
check("no request to another host", elsewhere.length === 0, elsewhere.join("; "));
if (screenshot) await page.screenshot({ path: screenshot });
await browser.close();
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exit(counts.failed ? 1 : 0);
