"""Login through headless Chromium at two SAML identity providers that nobody here wrote: npm samlp and SimpleSAMLphp."""

import re
import subprocess

import pytest
from conftest import CACHE, HERE, free_port, wait_until

GROUPS = ["ml-users", "fraud-readers"]


def key_pair(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=idp",
                    "-keyout", "idp.key", "-out", "idp.crt"], check=True, capture_output=True, cwd=folder)


def gateway_metadata(world):
    done = subprocess.run(["curl", "-sf", "--cacert", str(world.state / "ca.pem"),
                           f"{world.url}/saml/company/metadata"], check=True, capture_output=True, text=True)
    return done.stdout


def identity(metadata, extra=""):
    return f'[[identity]]\nkind = "saml"\nname = "company"\nmetadata = "{metadata}"\n{extra}\n'


def knows_alice(world):
    laptop = world.laptop("alice")
    page = laptop.login("alice", SHOTS=world.folder)
    assert "You are logged in" in page and "as alice@example.test" in page
    status = laptop.json("status")
    assert (status["user"], status["provider"], status["groups"]) == ("alice@example.test", "company", GROUPS)


@pytest.mark.parametrize("sign,encrypt", [("assertion", False), ("response", False), ("both", False), ("both", True)])
def test_samlp(world, sign, encrypt):
    key_pair(world.folder)
    port = free_port()
    world.identity = identity(f"http://127.0.0.1:{port}/saml/metadata", "sign_requests = true")
    world.gateway()
    env = {"PORT": str(port), "FOLDER": str(world.folder), "SIGN": sign, "ACS": f"{world.url}/saml/company/acs",
           "NODE_MODULES": str(CACHE / "node" / "node_modules")}
    if encrypt:
        certificate = re.search("<ds:X509Certificate>(.*?)</ds:X509Certificate>", gateway_metadata(world)).group(1)
        lines = "\n".join(certificate[i:i + 64] for i in range(0, len(certificate), 64))
        (world.folder / "sp.crt").write_text(f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
        env["ENC"] = "1"
    process = world.processes.start("idp", ["node", str(HERE / "saml-idp.cjs")], env=env)
    wait_until("the provider listens", lambda: "listening" in process.log.read_text())
    knows_alice(world)


@pytest.mark.parametrize("encrypt", [False, True])
def test_simplesamlphp(world, encrypt):
    key_pair(world.folder)
    port = free_port()
    base = f"http://127.0.0.1:{port}/"
    world.identity = identity(f"{base}saml2/idp/metadata.php", 'sign_requests = true\nemail_attribute = "mail"')
    world.gateway()
    certificate = re.search("<ds:X509Certificate>(.*?)</ds:X509Certificate>", gateway_metadata(world)).group(1)
    php = world.folder / "php"
    for name in ("config", "metadata", "data", "log", "tmp"):
        (php / name).mkdir(parents=True)
    (php / "config" / "config.php").write_text(f"""<?php
$config = ['baseurlpath' => '{base}', 'certdir' => '{world.folder}/', 'loggingdir' => '{php}/log/', 'datadir' => '{php}/data/',
  'tempdir' => '{php}/tmp', 'metadatadir' => '{php}/metadata/', 'secretsalt' => 'interop', 'auth.adminpassword' => 'interop-admin',
  'timezone' => 'UTC', 'logging.handler' => 'file', 'enable.saml20-idp' => true, 'session.cookie.secure' => false,
  'session.cookie.samesite' => 'Lax', 'store.type' => 'phpsession', 'module.enable' => ['exampleauth' => true, 'core' => true, 'saml' => true],
  'language.default' => 'en', 'language.available' => ['en'], 'metadata.sources' => [['type' => 'flatfile']],
  'technicalcontact_email' => 'operator@example.test'];
""")
    (php / "config" / "authsources.php").write_text("""<?php
$config = ['example-userpass' => ['exampleauth:UserPass',
  'alice:any' => ['mail' => ['alice@example.test'], 'groups' => ['ml-users', 'fraud-readers'], 'displayName' => ['Alice A']]]];
""")
    (php / "metadata" / "saml20-idp-hosted.php").write_text("""<?php
$metadata['__DYNAMIC:1__'] = ['host' => '__DEFAULT__', 'privatekey' => 'idp.key', 'certificate' => 'idp.crt', 'auth' => 'example-userpass',
  'signature.algorithm' => 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256', 'redirect.sign' => true, 'redirect.validate' => true];
""")
    (php / "metadata" / "saml20-sp-remote.php").write_text(f"""<?php
$metadata['{world.url}/saml/company'] = ['AssertionConsumerService' => '{world.url}/saml/company/acs', 'saml20.sign.response' => true,
  'NameIDFormat' => 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress', 'simplesaml.nameidattribute' => 'mail',
  'assertion.encryption' => {str(encrypt).lower()}, 'validate.authnrequest' => true, 'certData' => '{certificate}'];
""")
    process = world.processes.start("php", ["php", "-S", f"127.0.0.1:{port}", "-t", "/usr/share/simplesamlphp/www"], env={
        "SIMPLESAMLPHP_CONFIG_DIR": str(php / "config")})
    wait_until("php listens", lambda: "started" in process.log.read_text())
    knows_alice(world)
