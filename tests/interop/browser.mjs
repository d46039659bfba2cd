// A person's browser: headless Chromium opens the address in argv[2], signs in as argv[3] and ends on the laptop's
// loopback page, or on the page that says that a code was confirmed, whose address and text go to stdout; `nobody` cancels.
// Environment: PROVIDER chooses among several by name, ANSWER is what is said to a device (continue or deny), SCHEME is light
// or dark, SHOTS is a folder for screenshots.
import { createRequire } from 'node:module';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const require = createRequire(`${process.env.NODE_MODULES}/`);
const { chromium } = require('playwright-core');
const [url, user] = process.argv.slice(2);
const { PROVIDER, ANSWER = 'continue', SCHEME = 'light', SHOTS } = process.env;

const profile = mkdtempSync(join(tmpdir(), 'browser-'));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: '/usr/bin/chromium',
  colorScheme: SCHEME,
  ignoreHTTPSErrors: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
context.setDefaultTimeout(20_000);
const page = context.pages()[0] ?? await context.newPage();
let step = 0;
// A picture is for people to look at: a browser that cannot draw one at the moment has still signed somebody in.
const shot = async () => {
  if (SHOTS) await page.screenshot({ path: join(SHOTS, `login-${step++}.png`) }).catch((error) => console.error(error.message));
};
const click = (what) => Promise.all([page.waitForEvent('load'), what.click()]);

// What a page may ask for, in the order in which it is looked for.
const steps = [
  ...(user === 'nobody' ? [['a[href$="/abort"]', () => click(page.locator('a[href$="/abort"]'))]] : []), // "Cancel"
  ['input[name=login][type=text]', async () => {                 // oidc-provider's sign-in, any password
    await page.fill('input[name=login]', user);
    await page.fill('input[name=password]', 'any');
    await click(page.locator('button[type=submit]'));
  }],
  ['button[name=answer]', () => click(page.locator(`button[value="${ANSWER}"]`))],          // the gateway asks: is this you?
  ['input[name=username]', async () => {                         // SimpleSAMLphp's sign-in
    await page.fill('input[name=username]', user);
    await page.fill('input[name=password]', 'any');
    await click(page.locator('button[type=submit], input[type=submit]').first());
  }],
  ['nav a.choice', () => click(page.getByRole('link', { name: PROVIDER, exact: true }))],   // the gateway's chooser
  [`button[name=user][value="${user}"]`, () => click(page.locator(`button[value="${user}"]`))], // its dev sign-in
  ['button[type=submit]', () => click(page.locator('button[type=submit]'))],                // consent
];

const ended = async () => /^http:\/\/(127\.0\.0\.1|localhost):\d+\/callback/.test(page.url())
  || await page.getByRole('heading', { name: /^(You are logged in|Denied)$/ }).count();

await page.goto(url);
for (let i = 0; i < 8 && !await ended(); i++) {
  await shot();
  for (const [selector, act] of steps) {
    if (await page.locator(selector).count()) {
      await act();
      break;
    }
  }
}
await shot();
console.log(`${page.url().split('?')[0]}\n${(await page.locator('body').innerText()).trim()}`);
await context.close();
rmSync(profile, { recursive: true, force: true });
