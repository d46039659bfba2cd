// A person's browser: headless Chromium opens the address in argv[2], signs in as argv[3], consents, and
// ends on the laptop's loopback page, whose text goes to stdout. Screenshots go to the folder in argv[4], if given.
import { createRequire } from 'node:module';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const require = createRequire(`${process.env.NODE_MODULES}/`);
const { chromium } = require('playwright-core');
const [url, user, shots] = process.argv.slice(2);

const context = await chromium.launchPersistentContext(mkdtempSync(join(tmpdir(), 'browser-')), {
  executablePath: '/usr/bin/chromium',
  ignoreHTTPSErrors: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
const page = context.pages()[0] ?? await context.newPage();
let step = 0;
const shot = async () => { if (shots) await page.screenshot({ path: join(shots, `login-${step++}.png`) }); };

await page.goto(url);
for (let i = 0; i < 8 && !/^http:\/\/(127\.0\.0\.1|localhost):\d+\/callback/.test(page.url()); i++) {
  await shot();
  if (await page.locator('input[name=login]').count()) {          // oidc-provider's sign-in
    await page.fill('input[name=login]', user);
    await page.fill('input[name=password]', 'any');
    await Promise.all([page.waitForLoadState('load'), page.click('button[type=submit]')]);
  } else if (await page.locator(`button[value="${user}"]`).count()) { // the gateway's own dev sign-in
    await Promise.all([page.waitForLoadState('load'), page.click(`button[value="${user}"]`)]);
  } else if (await page.locator('button[type=submit]').count()) {  // consent
    await Promise.all([page.waitForLoadState('load'), page.click('button[type=submit]')]);
  }
  await page.waitForLoadState('load');
}
await shot();
console.log(page.url().split('?')[0]);
console.log((await page.locator('body').innerText()).trim());
await context.close();
