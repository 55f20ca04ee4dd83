// One Chromium for many tests: a line of JSON is a piece of code to run with
// what it gets, the answer is a line with its result or why there is none.
"use strict";
const readline = require("readline");
const { chromium } = require("playwright-core");
const axe = require("axe-core");

const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor;
const TIMEOUT = 15000;

// What no page may do: errors, breaches of its policy, requests to elsewhere.
async function open(state, { url, dark, width, height }) {
  await state.context?.close();
  state.problems = [];
  state.context = await state.browser.newContext({
    colorScheme: dark ? "dark" : "light", reducedMotion: "reduce",
    viewport: { width: width || 1280, height: height || 800 },
  });
  state.context.setDefaultTimeout(TIMEOUT);
  const page = state.page = await state.context.newPage();
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && state.problems.push(m.text()));
  page.on("pageerror", (e) => state.problems.push(String(e.stack)));
  page.on("request", (r) => new URL(r.url()).origin !== new URL(url).origin && !r.url().startsWith("data:") && state.problems.push(`asked ${r.url()}`));
  await page.goto(url);
}

// What axe finds wrong with what is shown now.
async function wrong(page) {
  await page.evaluate(axe.source);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.html.slice(0, 200)} ${n.any.concat(n.all).map((x) => x.message).join("; ")}`));
}

async function main() {
  const state = { problems: [], browser: await chromium.launch({
    executablePath: process.argv[2], args: ["--no-sandbox", "--disable-dev-shm-usage"],
  }) };
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { code, arg } = JSON.parse(line);
    let answer;
    try {
      const run = new AsyncFunction("page", "arg", "state", "open", "wrong", code);
      answer = { value: await run(state.page, arg, state, open, wrong) };
    } catch (e) {
      answer = { error: String(e.stack) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  await state.browser.close();
}
main();
