// A certified OpenID Provider (npm oidc-provider) on loopback, with its own sign-in pages and any password.
// Environment: PORT, REDIRECT_URI (the gateway's callback), CLIENT_SECRET, USERS (a JSON file).
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.NODE_MODULES}/`);
const { Provider } = await import(require.resolve('oidc-provider'));

const port = Number(process.env.PORT);
const issuer = `http://127.0.0.1:${port}`;
// Read at each use: who leaves the file has left the company.
const users = () => JSON.parse(readFileSync(process.env.USERS, 'utf8'));

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'hoop-gateway',
    client_secret: process.env.CLIENT_SECRET,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: [process.env.REDIRECT_URI],
  }],
  pkce: { required: () => true },
  claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'], groups: ['groups'] },
  scopes: ['openid', 'offline_access', 'groups'],
  conformIdTokenClaims: false,
  features: { devInteractions: { enabled: true }, revocation: { enabled: true } },
  rotateRefreshToken: true,
  issueRefreshToken: async (ctx, client, code) =>
    client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
  findAccount: async (ctx, id) =>
    users()[id] && { accountId: id, claims: async () => ({ sub: id, email_verified: true, ...users()[id] }) },
  cookies: { keys: ['test-only-key'] },
});
for (const event of ['server_error', 'grant.error', 'authorization.error']) {
  provider.on(event, (ctx, error) => console.error(event, error.message, error.error_description || ''));
}
http.createServer(provider.callback()).listen(port, '127.0.0.1', () => console.log('listening'));
