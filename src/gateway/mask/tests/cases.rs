//! Texts as answers are written in; what stands in ⟦⟧ is masked, everything else is not.

use super::{Style, drawn, pem, whole};

#[test]
fn values_are_masked_and_nothing_else_is() {
    let mut wrong = Vec::new();
    for case in CASES.iter().map(|c| (*c).to_owned()).chain(secrets()) {
        let text = case.replace(['⟦', '⟧'], "");
        let masked = whole(&text, Style::Label);
        if !fits(&case, &masked) {
            wrong.push(format!("{case}\n→ {masked}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Whether `masked` is `case` with a label for each `⟦…⟧`.
fn fits(case: &str, masked: &str) -> bool {
    let (mut rest, mut parts) = (masked, case.split('⟦'));
    let Some(after) = rest.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    rest = after;
    for part in parts {
        let plain = part.split('⟧').nth(1).unwrap_or_default();
        let Some((label, after)) = rest.strip_prefix('[').and_then(|r| r.split_once(']')) else {
            return false;
        };
        let Some(after) = after.strip_prefix(plain) else { return false };
        if !label.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_') {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

/// Secrets, assembled here so that none stands in the repository.
fn secrets() -> Vec<String> {
    let upper = drawn(16).to_ascii_uppercase().replace(['0', '1', '8', '9'], "7");
    let hex: String = "0123456789abcdef".chars().cycle().take(40).collect();
    vec![
        format!("token ⟦{}{}⟧, next", "ghp_", drawn(36)),
        format!("use ⟦{}{}⟧.", "sk-proj-", drawn(60)),
        format!("rotate ⟦{}{upper}⟧ now", "AKIA"),
        format!("aws_secret_access_key = ⟦{}/{}⟧", drawn(19), drawn(20)),
        format!("api_key = \"⟦{}⟧\"", drawn(32)),
        format!("Authorization: Bearer ⟦{}⟧", drawn(40)),
        format!("X-Api-Key: ⟦{hex}⟧"),
        format!("\"private_key_id\": \"⟦{hex}⟧\""),
        format!("AccountName=x;AccountKey=⟦{}==⟧;EndpointSuffix=core.windows.net", drawn(86)),
        format!("azure client secret ⟦{}8Q~{}⟧", drawn(3), drawn(34)),
        format!("sid=⟦eyJ{}.eyJ{}.{}⟧; Path=/", drawn(20), drawn(30), drawn(43)),
        format!("hook ⟦https://hooks.slack.com/services/T{0}/B{0}/{1}⟧ ok", drawn(8), drawn(24)),
        format!("key:\n⟦{}⟧\nThanks.", pem(5)),
        format!("{{\"private_key\": \"⟦{}⟧\\n\", \"x\": 1}}", pem(3).replace('\n', "\\n")),
    ]
}

const CASES: &[&str] = &[
    "Karte: ⟦4111 1112 3456 7892⟧, gültig bis ⟦12/27⟧, Prüfnummer ⟦123⟧",
    "Card ⟦4111111234567892⟧ exp ⟦09/2028⟧ cvv ⟦4321⟧ pin ⟦9911⟧",
    "numéro de carte : ⟦4111-1112-3456-7892⟧",
    "\"cardNumber\":\"⟦4111111234567892⟧\",\"cvc\":\"⟦123⟧\"",
    "IBAN ⟦DE89 3704 0044 0532 0130 00⟧ BIC ⟦COBADEFFXXX⟧",
    "Überweisung an ⟦GB82WEST12345698765432⟧.",
    "zahlen Sie auf ⟦CH9300762011623852957⟧, danke",
    "⟦MT84MALT011000012345MTLCAST001S⟧",
    "<iban>⟦DE89370400440532013000⟧</iban><ssn>⟦219-09-9999⟧</ssn>",
    "the patient, SSN ⟦219 09 9999⟧, was seen",
    "ssn=⟦219099999⟧&dob=⟦1980-02-03⟧&email=⟦bob.smith%2Bx%40example.com⟧",
    "born ⟦3rd of May, 1990⟧ in Leeds",
    "Geburtsdatum: ⟦12. März 1980⟧",
    "né le ⟦1er août 1975⟧ à Lyon",
    "fecha de nacimiento: ⟦12 de marzo de 1980⟧",
    "生年月日：⟦1990年5月12日⟧",
    "出生日期: ⟦1990-05-12⟧",
    "date_of_birth: ⟦19800203⟧",
    "DOB ⟦02/03/80⟧",
    "{\"birthDate\": \"⟦1980-02-03⟧\", \"releaseDate\": \"1980-02-03\"}",
    "手机号⟦13812345678⟧，邮箱是⟦test.user@example.com⟧请查收",
    "电话：⟦010-12345678⟧",
    "Tel.: ⟦+49 (0)30 1234567⟧, Fax ⟦030/1234567⟧",
    "Rufnummer ⟦0171 2345678⟧",
    "téléphone ⟦06 12 34 56 78⟧",
    "Rappelez le ⟦01.23.45.67.89⟧ demain",
    "llámame al ⟦612 345 678⟧",
    "phone (⟦+1 415 555 2671 ext. 42⟧)",
    "Call ⟦(415) 555-2671⟧ or ⟦415.555.2672⟧ or ⟦1-800-555-0199⟧",
    "WhatsApp ⟦+55 (11) 91234-5678⟧",
    "Mobile: ⟦９８７６５４３２１０⟧",
    "tel ⟦+44\u{a0}20\u{a0}7946\u{a0}0958⟧",
    "SSN: ⟦219\u{2010}09\u{2010}9999⟧",
    "card ⟦4111\u{200b}1111\u{200b}1111\u{200b}1111⟧ ok",
    "contact: ⟦o'brien+test@mail.example.co.uk⟧.",
    "write to ⟦jürgen.müller@example.de⟧; thanks",
    "<a href=\"mailto:⟦a.b@example.com⟧\">x</a>",
    "git clone git@github.com:org/repo.git",
    "see @alice and https://example.com:8080/path@1.2.3 and foo@bar",
    "npm i @types/node@20.11.5 and actions/checkout@v4",
    "postgres://svc:⟦p@ss/w0rd⟧@db.internal:5432/x",
    "redis://:⟦s3cr3tPw⟧@cache:6379/0",
    "https://user:⟦hunter2⟧@example.com/x?y=1",
    "jdbc:postgresql://host:5432/db?user=u&password=⟦Xy9!kkqq⟧",
    "password: ⟦Tr0ub4dor&3⟧",
    "Your temporary password is ⟦kd83-LLq2⟧, please change it.",
    "Passwort: ⟦geheim!123⟧",
    "mot de passe : ⟦Azerty!2024⟧",
    "contraseña: ⟦Lluvia#77⟧",
    "密码：⟦Abc!23456⟧",
    "DB_PASSWORD='⟦correct-horse-battery⟧'",
    "password: str, token: Optional[str] = None",
    "The password field is required and the password must be at least 8 characters.",
    "if password == \"\": return; password = input(\"Password: \")",
    "password = os.environ[\"DB_PASSWORD\"]; pw=getpass.getpass()",
    "passwords are hashed with argon2id; PASSWORD=<secret> PASSWORD=${PW} PASSWORD=changeme",
    "- name: MYSQL_ROOT_PASSWORD\n  value: \"⟦S3cure_pw⟧\"",
    "key sk-learn and sk-your-api-key-here and sk-...",
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----",
    "Reisepass ⟦C01X00T47⟧ ausgestellt",
    "pasaporte n.º ⟦XDA123456⟧",
    "driver's licence: ⟦MORGA657054SM9IJ⟧",
    "Führerschein ⟦B072RRE2I55⟧",
    "license plate ⟦B-MW 1234⟧ parked",
    "Kennzeichen: ⟦M-AB 1234⟧",
    "plate number ⟦7ABC123⟧.",
    "VIN ⟦1HGCM82633A004352⟧",
    "MRN: ⟦00482913⟧; patient id ⟦P-104923⟧",
    "NHS number ⟦943 476 5919⟧",
    "Medicare ID ⟦1EG4-TE5-MK73⟧",
    "my TFN is ⟦123 456 782⟧ and ABN ⟦51 824 753 556⟧, ACN ⟦004 085 616⟧",
    "GSTIN ⟦27AAPFU0939F1ZV⟧; PAN ⟦AAPFU0939F⟧",
    "voter id ⟦ABC1234567⟧",
    "เลขประจำตัวประชาชน ⟦1-1017-00203-45-0⟧",
    "CNH ⟦12345678900⟧; PIS ⟦120.12345.67-8⟧",
    "CPF ⟦111.444.777-35⟧ CNPJ ⟦11.222.333/0001-81⟧",
    "SIN ⟦046 454 286⟧",
    "BSN ⟦111222333⟧; PESEL ⟦44051401359⟧",
    "personnummer ⟦811228-9874⟧",
    "Henkilötunnus: ⟦131052-308T⟧",
    "身份证号码：⟦11010519491231002X⟧",
    "주민등록번호 ⟦900101-1234567⟧",
    "NIR ⟦2 55 08 14 168 025 38⟧",
    "Steuer-IdNr.: ⟦86 095 742 719⟧",
    "codice fiscale ⟦RSSMRA85T10A562S⟧",
    "DNI ⟦12345678Z⟧, NIE ⟦X1234567L⟧",
    "NRIC ⟦S1234567D⟧",
    "NI number ⟦AB 12 34 56 C⟧",
    "CURP ⟦HEGG560427MVZRRL04⟧",
    "national id: ⟦85.07.30-033.28⟧",
    "routing ⟦021000021⟧ account ⟦1234567890⟧",
    "Konto-Nr. ⟦532013000⟧, sort code ⟦20-00-00⟧",
    "IP ⟦192.168.10.14⟧ and ⟦2001:db8:85a3::8a2e:370:7334⟧, mac ⟦00:1B:44:11:3A:B7⟧",
    "server at ⟦10.0.0.12⟧:8080 or ⟦203.0.113.9⟧/24",
    "listening on 127.0.0.1:8080, 0.0.0.0/0, mask 255.255.255.0, ::1, version 1.2.3.4, v10.2.3.4",
    "BTC ⟦1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2⟧ eth ⟦0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BAe⟧",
    "tx 0x5c504ed432cb51138bcf09aa5e8a410dd4a1e204ef84bfed1be16dfba1b22060 in block 46147",
    "| Name | SSN | Phone |\n|---|---|---|\n| Ann | ⟦219099999⟧ | ⟦5551234567⟧ |\n| Bob | ⟦219-09-9998⟧ | ⟦555 765 4321⟧ |",
    "name,ssn,date_of_birth,order_id\nann,⟦219099999⟧,⟦1980-02-03⟧,123456789\nbob,⟦219099998⟧,⟦1981-03-04⟧,987654321\n",
    "user_id\tpassword\temail\n1\t⟦hunter22x⟧\t⟦a@example.com⟧\n",
    "2024-05-12T10:11:12.123Z INFO user=⟦bob@example.com⟧ ip=⟦198.51.100.7⟧ took 12ms id=9f86d081884c7d659a2feaa0c55ad015",
    "127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET /a.gif HTTP/1.0\" 200 2326",
    "order 112-7654321-1234567 shipped via 1Z999AA10123456784, invoice INV-2024-00123, ISBN 978-3-16-148410-0",
    "The meeting is on 12 March 2024 at 10:30, room 204. Budget: $1,234,567.89 or 1 234 567,89 €.",
    "Population 83 240 525; distance 384 400 km; pi 3.14159265358979; 1.602176634e-19",
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8, uuid 550e8400-e29b-41d4-a716-446655440000",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "ticket 4111-2222, serial 4111 1111 1111 1112, batch 1234567890123456",
    "x = a[0:12]; for i in range(10): print(f\"{i:02d}\"); y = 0x1F + 1e10; std::vector<int> v; a::b::c",
    "CSS #ff8800; rgba(12, 34, 56, 0.7); 12:34:56; a1:b2:c3; 1920x1080; 60fps; 3.5GHz; i7-1165G7",
    "RFC 2616, ISO 27001:2013, SKU 4236-591-777, CVE-2021-44228, KB5034441, Windows 10.0.19045.3930",
    "lat 48.8566, lon 2.3522 (48.8566, 2.3522); zip 94105-1234; 10001; SW1A 1AA",
    "Chapter 12, pages 100-120; 2023-2024; 50-60%; 1-2-3; 24/7; 9-5; 3/4 cup; Q1 2024",
    "phone model iPhone 14 Pro 256GB; call stack depth 1000000; callback(1234567)",
    "Passport is REQUIRED; license: MIT; License Apache-2.0; plate tectonics 101",
    "token: 1234; tokens used: 15342; secret santa 2024; key: value; api key: your-api-key-here",
    "Best regards,\nAnn Lee\n⟦415-555-2671⟧\n",
    "Grüße\nJörg\n⟦0171 2345678⟧",
    "escaped \\n⟦bob@example.com⟧\\t⟦219-09-9999⟧\\n",
    "\"email\\\": \\\"⟦bob@example.com⟧\\\"\"",
    "(⟦bob@example.com⟧)<⟦eve@example.org⟧>,⟦x@y.io⟧;",
    "Zahlung mit ⟦5500005555555559⟧ (Mastercard) und ⟦2223000048400011⟧, Amex ⟦3782 822463 10005⟧",
    "UUID-like 12345678-1234-1234-1234-123456789012 and timestamp 1700000000 1700000000000",
];
