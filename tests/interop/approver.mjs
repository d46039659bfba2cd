// Somebody who decides: headless Chromium opens the link in argv[2], signs in as argv[3] with the gateway's `dev` provider, says
// argv[4] (Approve or Deny) and prints the page before and after. Environment: SHOTS is a folder for screenshots in two widths.
import { createRequire } from 'node:module';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const require = createRequire(`${process.env.NODE_MODULES}/`);
const { chromium } = require('playwright-core');
const [url, user, word] = process.argv.slice(2);
const { SHOTS, SCHEME = 'light' } = process.env;

const profile = mkdtempSync(join(tmpdir(), 'approver-'));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: '/usr/bin/chromium',
  colorScheme: SCHEME,
  ignoreHTTPSErrors: true,
  javaScriptEnabled: false,
  viewport: { width: 390, height: 844 },
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
context.setDefaultTimeout(20_000);
const page = context.pages()[0] ?? await context.newPage();
const complaints = [];
page.on('console', (message) => complaints.push(message.text()));
const shot = async (name) => {
  if (!SHOTS) return;
  for (const width of [390, 1280]) {
    await page.setViewportSize({ width, height: 844 });
    // A picture is for people to look at, and no part of what is asked of the page.
    await page.screenshot({ path: join(SHOTS, `${name}-${width}-${SCHEME}.png`), fullPage: true })
      .catch((error) => console.error(error.message));
  }
  await page.setViewportSize({ width: 390, height: 844 });
};
const click = (what) => Promise.all([page.waitForEvent('load'), what.click()]);
const text = async () => (await page.locator('main').innerText()).trim();
const narrow = async () => page.locator('main').evaluate((main) => main.scrollWidth <= main.clientWidth).catch(() => true);

await page.goto(url);
await click(page.locator(`button[name=user][value="${user}"]`));
const before = await text();
const buttons = await page.locator('button, .choice, fieldset label').all();
const heights = await Promise.all(buttons.map(async (button) => (await button.boundingBox()).height));
await shot('request');
await click(page.getByRole('button', { name: word, exact: true }));
const after = await text();
await shot('decided');
await click(page.getByRole('link', { name: 'All approvals' }));
await shot('all');
console.log(JSON.stringify({ url: page.url(), before, after, all: await text(), lowest: Math.min(...heights), narrow: await narrow(), complaints }));
await context.close();
rmSync(profile, { recursive: true, force: true });
