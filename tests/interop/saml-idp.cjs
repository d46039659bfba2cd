// A SAML 2.0 identity provider by npm `samlp`, on loopback. Environment: PORT, FOLDER (idp.crt, idp.key, and sp.crt to encrypt),
// SIGN=assertion|response|both, ENC=1, NODE_MODULES.
const { createRequire } = require('node:module');
const { readFileSync } = require('node:fs');
const { createPublicKey } = require('node:crypto');
const need = createRequire(`${process.env.NODE_MODULES}/`);
const express = need('express');
const samlp = need('samlp');
const { PORT, FOLDER, SIGN = 'both', ENC } = process.env;

const USERS = { alice: ['ml-users', 'fraud-readers'], bob: ['guests'] };
function Profile(user) {
  this.getClaims = () => ({ email: user.email, groups: user.groups, displayName: user.name });
  this.getNameIdentifier = () => ({ nameIdentifier: user.email });
}
function mapper(user) {   // no arrow: samlp reads the mapper's prototype
  return new Profile(user);
}
mapper.prototype.metadata = [];
const asked = (dom, name) => dom?.documentElement?.getAttribute(name);
const options = {
  issuer: `http://127.0.0.1:${PORT}/saml`,
  cert: readFileSync(`${FOLDER}/idp.crt`),
  key: readFileSync(`${FOLDER}/idp.key`),
  signatureAlgorithm: 'rsa-sha256',
  digestAlgorithm: 'sha256',
  signResponse: SIGN !== 'assertion',
  signAssertion: SIGN !== 'response',
  lifetimeInSeconds: 300,
  nameIdentifierFormat: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress',
  profileMapper: mapper,
  getPostURL: (audience, dom, request, done) => done(null, asked(dom, 'AssertionConsumerServiceURL')),
  getUserFromRequest: (request) => {
    const name = request.body.login;
    return { id: name, name, email: `${name}@example.test`, groups: USERS[name] ?? [] };
  },
};
if (ENC) {
  options.encryptionCert = readFileSync(`${FOLDER}/sp.crt`);
  options.encryptionPublicKey = createPublicKey(options.encryptionCert).export({ type: 'spki', format: 'pem' });
}
const app = express();
app.use(express.urlencoded({ extended: false }));
app.get('/saml/metadata', samlp.metadata({ ...options, redirectEndpointPath: '/saml/sso', postEndpointPath: '/saml/sso' }));
app.get('/saml/sso', (request, response) => response.type('html').send(
  `<form method=post action="/saml/sso?${request.url.split('?')[1]}"><input type=text name=login><input type=password name=password><button type=submit>Sign in</button></form>`));
app.post('/saml/sso', (request, response, next) => {
  const { ACS: destination } = process.env;
  samlp.auth({ ...options, destination, recipient: destination })(request, response, next);
});
app.listen(PORT, '127.0.0.1', () => console.log('listening'));
