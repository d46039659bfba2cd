//! The words that name values, in the languages that answers are written in; accents and spaces do not count.

/// What a label says its value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Label {
    /// Something else: an order, a version, a part.
    Other,
    Email,
    Phone,
    Dob,
    Ssn,
    Itin,
    Sin,
    Tfn,
    Nino,
    Nhs,
    Aadhaar,
    InPan,
    VoterId,
    Nir,
    DeTaxId,
    FiscalCode,
    Dni,
    Nie,
    Cpf,
    Cnpj,
    Cnh,
    Pis,
    Pesel,
    Bsn,
    Rrn,
    Personnummer,
    CnId,
    Hetu,
    Nric,
    ThaiId,
    NationalId,
    TaxId,
    Passport,
    License,
    Mrn,
    Mbi,
    AuMedicare,
    HealthId,
    Account,
    Routing,
    Card,
    Cvv,
    Pin,
    Expiry,
    Iban,
    Bic,
    Wallet,
    Abn,
    Acn,
    Gstin,
    Vin,
    Plate,
    Ip,
    Mac,
    AwsSecret,
    AzureSecret,
    GcpSecret,
    Secret,
    Password,
    /// A label whose values are made of digits grouped anyhow, only as part of a card's line.
    Version,
}

/// Words that may stand between a label and its value without weakening it.
pub(super) const VERBS: &[&str] = &[
    "is", "was", "are", "isset", "isnow", "reads", "equals", "number", "numberis", "no", "nr", "num", "value", "es", "e",
    "ist", "est", "lautet", "lautete", "era", "foi", "jest", "ar", "on", "er", "to", "of", "issetto", "setto", "changedto",
    "resetto", "with", "as", "td", "tdtd", "value", "valuetd", "string", "val", "text", "using", "del", "id", "code",
    "key", "type", "data", "dd", "span", "the", "his", "her", "their", "will", "be", "willbe", "hasbeen", "byl", "byla", "a", "en",
    "basic", "bearer", "token", "apikey", "current", "new", "temporary", "temp", "is a", "content", "field", "item", "cell", "b", "strong", "nbsp",
];

/// Label phrases by what they name.
pub(super) const PHRASES: &[(Label, &[&str])] = &[
    (Label::Other, OTHER),
    (Label::Version, &[
        "version", "release", "build", "kernel", "firmware", "revision", "upgrade to", "upgraded to", "driver version", "ver",
        "netmask", "subnet mask", "oid", "section", "chapter", "file version", "product version", "assembly version",
    ]),
    (Label::Email, &["email", "e-mail", "mail address", "correo"]),
    (Label::Phone, PHONE),
    (Label::Dob, DOB),
    (Label::Ssn, &[
        "ssn", "social security number", "social security no", "social security", "social security #", "soc sec", "ss number",
        "ssn last", "social", "número de seguro social", "número de seguridad social", "taxpayer ssn", "ss no",
    ]),
    (Label::Itin, &["itin", "individual taxpayer identification number", "individual taxpayer id", "taxpayer identification number", "tin", "taxpayer id"]),
    (Label::Sin, &["sin", "social insurance number", "social insurance no", "social insurance", "nas", "numéro d'assurance sociale", "numero d assurance sociale"]),
    (Label::Tfn, &["tfn", "tax file number", "tax file no", "tax file"]),
    (Label::Nino, &["nino", "ni number", "ni no", "national insurance number", "national insurance no", "national insurance", "nin"]),
    (Label::Nhs, &["nhs", "nhs number", "nhs no", "nhs id", "chi number", "h&c number"]),
    (Label::Aadhaar, &["aadhaar", "aadhar", "adhaar", "uidai", "uid number", "आधार", "आधार संख्या"]),
    (Label::InPan, &["pan", "pan card", "pan number", "pan no", "permanent account number", "पैन"]),
    (Label::VoterId, &["voter id", "epic", "epic no", "epic number", "voter card", "voter identity", "elector photo identity card"]),
    (Label::Nir, &[
        "nir", "numéro de sécurité sociale", "sécurité sociale", "n° de sécurité sociale", "no sécu", "numéro de sécu", "insee",
        "numéro insee", "french social security number", "french social security", "carte vitale", "nss",
    ]),
    (Label::DeTaxId, &[
        "steuer-id", "steuerid", "steueridentifikationsnummer", "steuer-identifikationsnummer", "steuerliche identifikationsnummer",
        "idnr", "steuer-idnr", "german tax id", "german tax number", "tin germany", "steuernummer", "steuer-nr", "steuer nr",
    ]),
    (Label::FiscalCode, &["codice fiscale", "cod fiscale", "fiscal code", "italian tax code", "italian fiscal code", "c.f."]),
    (Label::Dni, &["dni", "nif", "documento nacional de identidad", "spanish id", "número de dni"]),
    (Label::Nie, &["nie", "número de identidad de extranjero", "foreigner id", "foreigner identity number"]),
    (Label::Cpf, &["cpf", "cpf number", "cadastro de pessoas físicas", "cadastro de pessoa física"]),
    (Label::Cnpj, &["cnpj", "cadastro nacional da pessoa jurídica"]),
    (Label::Cnh, &["cnh", "carteira nacional de habilitação", "carteira de habilitação", "habilitação", "carteira de motorista"]),
    (Label::Pis, &["pis", "pasep", "pis/pasep", "nit", "nis", "pis pasep nit", "programa de integração social"]),
    (Label::Pesel, &["pesel", "numer pesel", "nr pesel"]),
    (Label::Bsn, &["bsn", "burgerservicenummer", "sofinummer", "sofi nummer", "citizen service number", "burger service nummer"]),
    (Label::Rrn, &["rrn", "korean rrn", "resident registration number", "주민등록번호", "주민번호", "외국인등록번호"]),
    (Label::Personnummer, &["personnummer", "person nr", "personnr", "pnr", "samordningsnummer", "swedish personal number", "swedish personal identity number"]),
    (Label::CnId, &["chinese id", "chinese id number", "china id", "resident identity card", "resident id", "prc id", "身份证", "身份证号", "身份证号码", "身分證", "公民身份号码", "shenfenzheng"]),
    (Label::Hetu, &["hetu", "henkilötunnus", "henkilötunnuksesi", "henkilötunnukseni", "sotu", "finnish personal identity code", "personbeteckning"]),
    (Label::Nric, &["nric", "fin", "nric/fin", "nric number", "nric no", "singapore id", "mykad", "ic number", "ic no"]),
    (Label::ThaiId, &["thai id", "thai national id", "thai citizen id", "เลขประจำตัวประชาชน", "เลขบัตรประชาชน", "บัตรประชาชน"]),
    (Label::NationalId, NATIONAL),
    (Label::TaxId, &[
        "tax id", "tax identification", "tax identification number", "tax number", "tax no", "tax code", "tax reference", "utr",
        "unique taxpayer reference", "vat", "vat number", "vat no", "vat id", "vat reg", "ust-idnr", "ustid", "umsatzsteuer-id", "partita iva", "p.iva", "numéro fiscal", "numéro de tva",
        "tva", "n tva", "numero fiscal", "siren", "siret", "cif", "rfc", "rut", "cuit", "cuil", "nip", "ein", "employer identification number", "fein", "inn", "инн",
        "税号", "納税者番号", "btw", "btw-nummer", "adószám", "dič", "ičo", "identificación fiscal", "contribuinte", "número de contribuinte", "nuit", "ruc", "nit",
        "organisationsnummer", "org nr", "cvr", "kennitala", "gst number", "fiscal number", "fiscal id", "taxpayer number", "taxpayer identification",
    ]),
    (Label::Passport, &[
        "passport", "passport number", "passport no", "passport #", "passport id", "travel document", "travel document number", "reisepass", "reisepassnummer", "passnummer",
        "pass-nr", "passeport", "numéro de passeport", "pasaporte", "número de pasaporte", "passaporto", "numero di passaporto",
        "passaporte", "número do passaporte", "paspoort", "paspoortnummer", "paszport", "nr paszportu", "numer paszportu", "pass nummer", "passi", "pasnummer", "護照", "护照", "护照号",
        "护照号码", "パスポート", "旅券番号", "旅券", "여권", "여권번호", "паспорт", "серия и номер паспорта", "pasaport", "pasaport no",
    ]),
    (Label::License, &[
        "driver's license", "drivers license", "driver license", "driver's licence", "drivers licence", "driver licence", "driver s license", "driver s licence",
        "driving license", "driving licence", "driver license number", "driver's license number", "driving licence number",
        "drivers license number", "licence number", "license number", "license no", "licence no", "dl", "dl number", "dl no", "dln",
        "operator license", "führerschein", "führerscheinnummer", "permis de conduire", "numéro de permis", "permis", "permiso de conducir", "carné de conducir", "carnet de conducir",
        "licencia de conducir", "licencia de manejo", "patente di guida", "patente", "numero patente", "carta de condução", "rijbewijs", "rijbewijsnummer",
        "prawo jazdy", "körkort", "kørekort", "førerkort", "ajokortti", "řidičský průkaz", "ehliyet", "driver id", "运転免許証", "運転免許証番号", "驾驶证", "운전면허", "водительское удостоверение",
        "driver's permit", "driver's license no", "driver's lic", "driver lic",
    ]),
    (Label::Mrn, &[
        "mrn", "medical record number", "medical record no", "medical record", "medical records number", "patient id", "patient number", "patient no", "patient identifier", "hospital number",
        "hospital id", "hospital no", "chart number", "chart no", "chart id", "medical id", "medical number", "patientennummer", "patienten-id", "patienten-nr", "numéro de dossier médical", "numéro patient", "dossier médical", "historia clínica",
        "número de historia clínica", "nhc", "cartella clinica", "numero cartella", "prontuário", "número do prontuário", "registro médico", "patiëntnummer",
        "patientnummer", "unit number", "health record number", "record locator mrn", "病历号", "病歷號", "患者番号", "診察券番号", "환자번호", "fallnummer", "encounter mrn", "emr number", "ehr id", "emr id",
    ]),
    (Label::Mbi, &["mbi", "medicare mbi", "medicare beneficiary identifier", "medicare beneficiary id", "medicare beneficiary number"]),
    (Label::AuMedicare, &["medicare", "medicare number", "medicare card", "medicare no", "medicare card number", "medicare id"]),
    (Label::HealthId, &[
        "health insurance number", "health card", "health card number", "ohip", "insurance id", "insurance member id", "member id", "subscriber id", "policy holder id",
        "health plan id", "hicn", "krankenversichertennummer", "versichertennummer", "versicherten-nr", "kvnr", "health id", "abha", "abha number", "ehic", "tarjeta sanitaria",
        "cartão nacional de saúde", "cns", "tessera sanitaria", "medicaid", "medicaid id", "medicaid number", "group number", "health insurance id", "insurance number", "dea number", "npi",
    ]),
    (Label::Account, &[
        "account number", "account no", "acct", "acct no", "acct number", "bank account", "bank account number", "bank account no", "checking account",
        "savings account", "checking account number", "savings account number", "account num", "account", "bank acct", "beneficiary account", "deposit account", "kontonummer", "konto-nr", "konto", "konto nr", "bankkonto", "numéro de compte",
        "compte bancaire", "n° de compte", "número de cuenta", "numero de cuenta", "cuenta bancaria", "cuenta", "numero di conto", "conto corrente", "conto", "número da conta", "conta corrente",
        "conta bancária", "conta", "rekeningnummer", "bankrekening", "numer konta", "numer rachunku", "rachunek", "tilinumero", "银行账号", "账号", "銀行口座", "口座番号", "계좌번호", "счет", "номер счета", "hesap numarası", "clabe", "ein konto",
    ]),
    (Label::Routing, &[
        "routing", "routing number", "routing no", "aba", "aba number", "aba routing number", "aba routing", "aba no", "aba rtn", "rtn", "routing transit number", "transit number", "bank routing number",
        "routing code", "wire routing", "ach routing", "sort code", "bsb", "blz", "bankleitzahl", "ifsc",
    ]),
    (Label::Card, &[
        "card", "card number", "card no", "credit card", "debit card", "credit card number", "debit card number", "payment card", "visa", "visa card", "mastercard",
        "master card", "amex", "american express", "discover card", "card num", "cc", "cc number", "ccn", "cc no", "kreditkarte", "kreditkartennummer", "karte", "kartennummer", "carte", "carte bancaire",
        "carte de crédit", "numéro de carte", "tarjeta", "tarjeta de crédito", "número de tarjeta", "carta di credito", "numero carta", "numero della carta", "cartão", "cartão de crédito", "número do cartão",
        "creditcard", "creditcardnummer", "kaart", "kaartnummer", "karta", "karta kredytowa", "numer karty", "kortnummer", "kort", "luottokortti", "信用卡", "信用卡号", "卡号", "クレジットカード", "カード番号", "신용카드", "카드번호", "карта", "номер карты", "kart numarası", "primary account number", "diners", "jcb", "maestro", "unionpay",
    ]),
    (Label::Cvv, &["cvv", "cvc", "cvv2", "cvc2", "csc", "cid", "card verification", "card verification value", "card verification code", "security code", "card security code", "kartenprüfnummer", "prüfnummer", "cryptogramme", "código de seguridad", "codigo de seguridad", "código de segurança", "codice di sicurezza", "cvv code", "cvc code", "kod cvv", "セキュリティコード", "安全码"]),
    (Label::Pin, &["pin", "pin number", "card pin", "atm pin", "debit pin", "geheimzahl", "code pin", "code secret", "暗証番号", "비밀번호 pin"]),
    (Label::Expiry, &["exp", "expiry", "expires", "expiration", "expiry date", "expiration date", "exp date", "valid thru", "valid until", "valid through", "good thru", "gültig bis", "ablaufdatum", "date d'expiration", "expire le", "fecha de caducidad", "fecha de vencimiento", "vencimiento", "caducidad", "scadenza", "validade", "vencimento", "vervaldatum", "ważna do", "有効期限", "有效期", "card expiry", "card expiration", "card exp"]),
    (Label::Iban, &["iban", "international bank account number", "bank account (iban)"]),
    (Label::Bic, &["bic", "swift", "swift code", "bic code", "bic/swift", "swift/bic", "swift bic", "bank identifier code", "code bic", "código swift", "codice bic", "código bic"]),
    (Label::Wallet, &["wallet", "wallet address", "btc", "eth", "btc address", "eth address", "bitcoin", "ethereum", "bitcoin address", "ethereum address", "crypto address", "payout address", "solana", "monero", "xmr", "sol address"]),
    (Label::Abn, &["abn", "australian business number", "abn number"]),
    (Label::Acn, &["acn", "australian company number"]),
    (Label::Gstin, &["gstin", "gst no", "gst identification number", "gst in"]),
    (Label::Vin, &["vin", "vin number", "vin no", "vehicle identification number", "chassis", "chassis number", "chassis no", "fahrgestellnummer", "fin nummer", "fahrzeug-identifizierungsnummer", "numéro de châssis", "número de bastidor", "bastidor", "numero di telaio", "telaio", "chassi", "chassisnummer", "vehicle id", "frame number"]),
    (Label::Plate, &[
        "license plate", "licence plate", "plate", "plate number", "plate no", "number plate", "license plate number", "licence plate number", "registration plate", "vehicle registration", "vehicle registration number", "vehicle reg", "registration number",
        "reg no", "vrn", "tag number", "kennzeichen", "kfz-kennzeichen", "nummernschild", "plaque", "plaque d'immatriculation", "immatriculation", "numéro d'immatriculation", "matrícula", "matricula", "placa", "placas", "targa", "kenteken", "nummerplaat", "tablica rejestracyjna", "numer rejestracyjny", "registreringsnummer", "rekisterinumero", "nummerplade", "車牌", "车牌号", "ナンバープレート", "차량번호", "rego", "plaka",
    ]),
    (Label::Ip, &["ip", "ip address", "client ip", "ipv4", "ipv6", "remote addr", "remote address", "source ip", "src ip", "dst ip", "host ip", "x-forwarded-for", "adresse ip", "dirección ip", "ip-adresse", "indirizzo ip", "endereço ip", "ip adres"]),
    (Label::Mac, &["mac", "mac address", "hw address", "hardware address", "hwaddr", "ethernet address", "physical address", "bssid", "mac-adresse", "adresse mac", "dirección mac", "indirizzo mac", "endereço mac", "wifi mac", "device mac", "ether"]),
    (Label::AwsSecret, &["aws secret", "aws secret key", "aws secret access key", "secret access key", "secretaccesskey", "aws secretkey", "aws_secret_access_key", "amazon secret key", "s3 secret key", "s3 secret"]),
    (Label::AzureSecret, &["account key", "azure storage key", "storage account key", "azure client secret", "azure secret", "shared access key", "sharedaccesskey", "accountkey", "azure key", "azure ad secret", "entra client secret", "azure openai key", "azure openai api key", "storage key", "sas token", "shared access signature"]),
    (Label::GcpSecret, &["private key id", "gcp secret", "gcp key", "google client secret", "google oauth secret", "gcp service account key", "google service account key"]),
    (Label::Secret, SECRET),
    (Label::Password, PASSWORD),
];

const OTHER: &[&str] = &[
    "order", "order id", "order no", "order number", "invoice", "invoice number", "invoice no", "invoice id", "ticket", "ticket id", "case", "case number", "tracking", "tracking number", "tracking id", "shipment",
    "serial", "serial number", "serial no", "batch", "batch number", "batch no", "lot", "lot number", "part", "part code", "part number", "part no", "sku", "product id", "product code", "item number", "upc", "ean", "gtin", "asin", "model number",
    "isbn", "issn", "doi", "rfc editor", "cve", "commit", "checksum", "digest", "hash", "sha", "request id", "trace id", "span id", "correlation id", "transaction id", "session id", "message id", "build number", "timestamp", "created at", "updated at",
    "checksum exercise", "sample code", "form section", "loyalty", "loyalty ref", "loyalty number", "loyalty card", "reference", "reference number", "ref", "ref no", "total", "amount", "price", "sum", "row count", "rows", "count", "score", "scored", "port", "pid",
    "line", "page", "pages", "coordinates", "latitude", "longitude", "lat", "lon", "due date", "released on", "published on", "paid on", "scales to", "invoice whether", "bestellnummer", "rechnungsnummer", "rechnung", "bestellung", "seriennummer", "artikelnummer", "auftragsnummer", "sendungsnummer", "commande", "numéro de commande", "facture", "numéro de série", "référence", "pedido", "número de pedido", "factura", "número de serie",
    "número de seguimiento", "referencia", "importe", "ordine", "fattura", "numero di serie", "riferimento", "importo", "fatura", "número de série", "referência", "valor total", "bestelnummer", "factuur", "serienummer", "zamówienie", "faktura", "numer seryjny", "订单", "订单号", "注文番号", "주문번호", "заказ", "номер заказа", "quote id", "po number", "purchase order", "po", "confirmation number", "confirmation code", "booking reference",
    "gift card", "gift card number", "coupon", "promo code", "voucher", "membership number", "meter number", "job id", "run id", "epoch", "seed", "size", "bytes", "revenue", "population", "balance", "salary", "budget", "cost", "quantity", "qty", "units", "error code", "exit code", "status code", "zip", "zip code", "postal code", "postcode", "plz", "cep",
];

const PHONE: &[&str] = &[
    "phone", "phone number", "phone no", "telephone", "telephone number", "telephone no", "tel", "tel no", "tel number", "mobile", "mobile number", "mobile no", "mobile phone", "cell", "cell phone", "cell number", "cellphone", "cellular", "fax", "fax number", "fax no", "landline", "call", "call me", "call me at", "call me on", "call us", "call us at", "call him", "call him at", "call her", "call her at", "call them", "call them at", "please call",
    "ring", "ring me", "ring us", "dial", "text me", "text me at", "text us", "text us at", "sms", "sms to", "whatsapp", "viber", "contact", "contact us at", "contact number", "contact no", "contact phone", "hotline", "helpline", "callback number", "reach me at", "reach me on", "reach us at", "reach us on", "reach him at", "reach her at", "reach them at", "reachable at", "reachable on", "reached at", "reached on", "msisdn", "home phone", "work phone", "office phone", "direct line", "emergency contact",
    "telefon", "telefonnummer", "telefon-nr", "tel.-nr", "handy", "handynummer", "mobil", "mobilnummer", "mobiltelefon", "rufnummer", "festnetz", "rückruf", "anrufen", "erreichbar unter", "téléphone", "numéro de téléphone", "tél", "tél.", "appelez", "appeler", "joignable au", "teléfono", "número de teléfono", "tfno", "móvil", "celular", "llamar al", "llame al", "llamar", "llámame al", "telefono", "numero di telefono", "cellulare", "cell.", "chiamare", "chiama", "chiamare il", "recapito",
    "telefone", "número de telefone", "telemóvel", "telemovel", "ligue para", "ligar para", "ligue", "fone", "telefoon", "telefoonnummer", "mobiele nummer", "mobiel", "bellen", "numer telefonu", "nr telefonu", "telefon komórkowy", "komórka", "zadzwoń", "telefonní číslo", "telefonszám", "telefoni", "puhelin", "puhelinnumero", "puh", "mobilnr", "tlf", "tlf nr", "telefonnr", "ring oss", "telefon numarası", "cep telefonu", "τηλέφωνο", "κινητό", "телефон", "номер телефона", "моб", "тел", "звоните",
    "电话", "电话号码", "手机", "手机号", "手机号码", "電話", "電話番号", "携帯", "携帯電話", "携帯番号", "手機", "전화", "전화번호", "휴대폰", "휴대전화", "핸드폰", "연락처", "फ़ोन", "मोबाइल", "फोन", "โทร", "โทรศัพท์", "เบอร์โทร", "điện thoại", "số điện thoại", "هاتف", "رقم الهاتف", "جوال", "טלפון", "נייד",
];

const DOB: &[&str] = &[
    "dob", "d.o.b.", "date of birth", "birth date", "birthdate", "birthday", "born", "born on", "birth", "day of birth", "born in", "geburtsdatum", "geb.", "geboren", "geboren am", "geb", "date de naissance", "né le", "née le", "né(e) le", "ne le", "naissance", "fecha de nacimiento", "nacido el", "nacida el", "nació el", "nacimiento", "fecha nac", "data di nascita", "nato il", "nata il", "nascita", "nato/a il", "data de nascimento", "nascido em", "nascida em", "nasceu em",
    "nascimento", "geboortedatum", "geboren op", "data urodzenia", "urodzony", "urodzona", "ur.", "födelsedatum", "född", "fødselsdato", "fødselsdag", "født", "syntymäaika", "syntynyt", "datum narození", "narozen", "narozena", "születési idő", "született", "data nașterii", "născut la", "născută la", "doğum tarihi", "ημερομηνία γέννησης", "дата рождения", "родился", "родилась", "д.р.", "出生日期", "生日", "出生", "生年月日", "誕生日", "생년월일", "생일", "जन्म तिथि", "जन्मतिथि", "วันเกิด", "วันเดือนปีเกิด",
    "ngày sinh", "تاريخ الميلاد", "תאריך לידה", "tanggal lahir", "tarikh lahir", "dateofbirth", "patient dob", "whose birthday is", "was born",
];

const NATIONAL: &[&str] = &[
    "national id", "national id number", "national identity number", "national identification number", "national identity card", "national identity", "national number", "identity number", "identity card", "identity card number", "identity document", "id card", "id card number", "id document", "personal id", "personal number", "personal identity number", "personal identity code", "personal identification number", "identification number", "government id", "citizen id", "citizen number", "citizenship number", "civil id", "civil number", "id no", "curp", "carte d'identité", "numéro d'identité", "cni", "cédula", "cedula", "cédula de identidad", "cédula de ciudadanía", "documento de identidad",
    "identificación", "carta d'identità", "documento d'identità", "numero documento", "documento", "carteira de identidade", "identidade", "bilhete de identidade", "cartão de cidadão", "personalausweis", "personalausweisnummer", "ausweisnummer", "ausweis-nr", "sozialversicherungsnummer", "sv-nummer", "svnr", "rentenversicherungsnummer", "ahv", "ahv-nummer", "ahv-nr", "avs", "numéro avs", "numero avs", "rijksregisternummer", "numéro national", "numéro de registre national", "registre national", "insz", "niss", "cpr", "cpr-nummer", "cpr nr", "fødselsnummer", "fodselsnummer", "personnummer nr", "rodné číslo", "rodne cislo", "cnp", "cod numeric personal", "egn", "егн", "oib", "jmbg", "emšo", "isikukood", "asmens kodas", "personas kods", "tckn", "tc kimlik no", "tc kimlik", "t.c. kimlik no", "teudat zehut", "תעודת זהות",
    "my number", "マイナンバー", "個人番号", "身分證字號", "hkid", "香港身份证", "nik", "ktp", "nomor induk kependudukan", "cccd", "cmnd", "số cccd", "sa id", "south african id", "sa id number", "emirates id", "iqama", "nuip", "снилс", "snils", "amka", "αμκα", "adoazonosító", "személyi szám", "taj szám", "nationalité id", "social number", "insurance no", "pps", "pps number", "ppsn", "philsys", "umid", "sss number", "ssnit", "bvn", "nin number", "cuil", "rut",
];

const PASSWORD: &[&str] = &[
    "password", "passwd", "pwd", "pass", "passphrase", "passcode", "pw", "login password", "admin password", "root password", "user password", "db password", "db pass", "dbpass", "db pwd", "database password", "userpass", "temporary password", "temp password", "initial password", "new password", "current password", "old password", "default password", "wifi password", "wi-fi password", "master password", "passwort", "kennwort", "geheimwort", "mot de passe", "mdp", "contraseña", "contrasena", "clave", "clave de acceso", "parola", "parola d'ordine", "password di accesso", "senha", "palavra-passe", "wachtwoord", "hasło", "lösenord", "adgangskode", "passord", "salasana", "heslo", "jelszó", "parolă", "şifre", "sifre", "parolanız", "κωδικός", "пароль", "密码", "密碼", "口令", "パスワード", "비밀번호", "암호", "पासवर्ड", "รหัสผ่าน", "mật khẩu", "كلمة المرور", "סיסמה", "kata sandi", "kata laluan",
    "keystore password", "postgres password", "mysql password", "mysql pwd", "redis password", "smtp password", "pgpassword", "mysql root password", "sshpass", "basic auth password",
];

const SECRET: &[&str] = &[
    "secret", "api key", "apikey", "api token", "api secret", "access token", "auth token", "refresh token", "bearer token", "id token", "bearer", "authorization", "x-api-key", "client secret", "secret key", "app secret", "application secret", "consumer secret", "consumer key", "signing key", "signing secret", "webhook secret", "encryption key", "private token", "personal access token", "deploy token", "deploy key", "service key", "master key", "session secret", "jwt secret", "token", "session token", "session key", "csrf token", "oauth token", "oauth secret", "bot token", "access key", "license key", "shared secret", "subscription key", "credentials", "credential", "api-schlüssel", "clé api", "clé secrète", "jeton", "clave api", "clave secreta", "chiave api", "chiave segreta", "chave de api", "chave secreta", "klucz api", "api-sleutel", "密钥", "秘钥", "api密钥", "令牌", "シークレット", "トークン", "secret value", "auth key", "authkey", "datadog api key", "dd api key", "heroku api key", "cloudflare api token", "cloudflare api key", "admin key", "root token", "vault token", "tls key", "hmac key", "hmac secret", "aes key", "otp secret", "totp secret", "2fa secret", "recovery code", "backup code", "secret token", "private key hex", "wandb api key", "cohere api key", "mistral api key", "deepseek api key", "openai key", "openai api key", "github token", "gitlab token", "slack token", "stripe key", "stripe secret key", "google api key", "sendgrid key", "npm token", "hugging face token", "hf token", "anthropic key", "anthropic api key",
    "set-cookie", "session cookie", "sessionid",
];
