//! What can be masked: every built-in entity, its name and its groups.

use std::fmt;

/// A named selection of entities, as `entities = ["secrets"]` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Every built-in entity.
    Default,
    /// Keys, tokens, passwords.
    Secrets,
    /// Cards, accounts, wallets, the numbers of firms.
    Financial,
    /// Patients and insurances.
    Health,
    /// Who a person is, and how to reach them.
    Identity,
    /// Addresses of machines.
    Network,
}

impl Group {
    /// Every group, in the order of the documentation.
    pub const ALL: [Self; 6] =
        [Self::Default, Self::Secrets, Self::Financial, Self::Health, Self::Identity, Self::Network];

    /// The name as configuration says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Secrets => "secrets",
            Self::Financial => "financial",
            Self::Health => "health",
            Self::Identity => "identity",
            Self::Network => "network",
        }
    }
}

macro_rules! entities {
    ($($group:ident { $($(#[$doc:meta])* $entity:ident $name:literal),* $(,)? })*) => {
        /// A built-in kind of value.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Entity { $($($(#[$doc])* $entity),*),* }

        impl Entity {
            /// Every built-in entity, grouped.
            pub const ALL: &'static [Self] = &[$($(Self::$entity),*),*];

            /// The name in labels: `EMAIL` in `[EMAIL]`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$entity => $name),*),* }
            }

            /// The group it belongs to, beside [`Group::Default`].
            #[must_use]
            pub const fn group(self) -> Group {
                match self { $($(Self::$entity => Group::$group),*),* }
            }
        }
    };
}

entities! {
    Secrets {
        /// PEM and PGP private keys.
        PrivateKey "PRIVATE_KEY",
        /// JSON Web Tokens (RFC 7519), signed or encrypted.
        Jwt "JWT",
        /// AWS access key ids.
        AwsAccessKey "AWS_ACCESS_KEY",
        /// AWS secret access keys.
        AwsSecretKey "AWS_SECRET_KEY",
        /// Azure storage, bus and application secrets.
        AzureSecret "AZURE_SECRET",
        /// Google Cloud OAuth secrets, tokens and the ids of service-account keys.
        GcpSecret "GCP_SECRET",
        /// Google API keys.
        GoogleApiKey "GOOGLE_API_KEY",
        /// OpenAI keys.
        OpenAiKey "OPENAI_KEY",
        /// Anthropic keys.
        AnthropicKey "ANTHROPIC_KEY",
        /// Hugging Face tokens.
        HfToken "HF_TOKEN",
        /// GitHub tokens.
        GitHubToken "GITHUB_TOKEN",
        /// GitLab tokens.
        GitLabToken "GITLAB_TOKEN",
        /// Slack tokens and webhooks.
        SlackToken "SLACK_TOKEN",
        /// Stripe secret and restricted keys.
        StripeKey "STRIPE_KEY",
        /// SendGrid keys.
        SendGridKey "SENDGRID_KEY",
        /// npm tokens.
        NpmToken "NPM_TOKEN",
        /// Keys of other issuers that are known by their prefix.
        ApiKey "API_KEY",
        /// A value named as a secret, key or token.
        Secret "SECRET",
        /// A value named as a password.
        Password "PASSWORD",
        /// The password inside a URL.
        UrlCredentials "URL_CREDENTIALS",
    }
    Financial {
        /// Payment card numbers (ISO/IEC 7812).
        CreditCard "CREDIT_CARD",
        /// The code on the back of a card.
        Cvv "CVV",
        /// A card's PIN.
        Pin "PIN",
        /// A card's expiry date.
        CardExpiry "CARD_EXPIRY",
        /// International bank account numbers (ISO 13616).
        Iban "IBAN",
        /// Bank identifier codes (ISO 9362).
        Bic "BIC",
        /// Bank account numbers.
        BankAccount "US_BANK_ACCOUNT",
        /// US routing numbers.
        AbaRouting "US_ABA_ROUTING",
        /// Wallet addresses.
        Crypto "CRYPTO",
        /// Brazilian company numbers.
        Cnpj "BR_CNPJ",
        /// Australian business numbers.
        Abn "AU_ABN",
        /// Australian company numbers.
        Acn "AU_ACN",
        /// Indian goods and services tax numbers.
        Gstin "IN_GSTIN",
        /// Value added tax numbers and the tax numbers of other countries.
        TaxId "TAX_ID",
    }
    Health {
        /// Medical record numbers.
        Mrn "MRN",
        /// British NHS numbers.
        Nhs "UK_NHS",
        /// US Medicare beneficiary identifiers.
        Mbi "US_MBI",
        /// Australian Medicare numbers.
        AuMedicare "AU_MEDICARE",
        /// Numbers of other health insurances.
        HealthId "HEALTH_ID",
    }
    Identity {
        /// Mail addresses.
        Email "EMAIL",
        /// Telephone numbers.
        Phone "PHONE",
        /// Dates of birth.
        Dob "DOB",
        /// US social security numbers.
        Ssn "US_SSN",
        /// US individual taxpayer numbers.
        Itin "US_ITIN",
        /// Canadian social insurance numbers.
        Sin "CA_SIN",
        /// Australian tax file numbers.
        Tfn "AU_TFN",
        /// British National Insurance numbers.
        Nino "UK_NINO",
        /// Indian Aadhaar numbers.
        Aadhaar "IN_AADHAAR",
        /// Indian permanent account numbers.
        InPan "IN_PAN",
        /// Indian voter ids.
        VoterId "IN_VOTER_ID",
        /// French social security numbers.
        Nir "FR_NIR",
        /// German tax identification numbers.
        DeTaxId "DE_TAX_ID",
        /// Italian fiscal codes.
        FiscalCode "IT_FISCAL_CODE",
        /// Spanish identity numbers.
        Dni "ES_DNI",
        /// Spanish foreigner numbers.
        Nie "ES_NIE",
        /// Brazilian taxpayer numbers of people.
        Cpf "BR_CPF",
        /// Brazilian driving licences.
        Cnh "BR_CNH",
        /// Brazilian social integration numbers.
        Pis "BR_PIS",
        /// Polish national numbers.
        Pesel "PL_PESEL",
        /// Dutch citizen service numbers.
        Bsn "NL_BSN",
        /// South Korean resident numbers.
        Rrn "KR_RRN",
        /// Swedish personal numbers.
        Personnummer "SE_PERSONNUMMER",
        /// Chinese resident identity numbers.
        CnId "CN_ID",
        /// Finnish personal identity codes.
        Hetu "FI_HETU",
        /// Singaporean identity numbers.
        Nric "SG_NRIC",
        /// Thai national identity numbers.
        ThaiId "TH_ID",
        /// National identity numbers of other countries.
        NationalId "NATIONAL_ID",
        /// Passport numbers.
        Passport "PASSPORT",
        /// Driving licences.
        DriverLicense "DRIVER_LICENSE",
        /// Vehicle identification numbers (ISO 3779).
        Vin "VIN",
        /// Licence plates.
        Plate "LICENSE_PLATE",
    }
    Network {
        /// IPv4 and IPv6 addresses.
        IpAddress "IP_ADDRESS",
        /// Hardware addresses.
        MacAddress "MAC_ADDRESS",
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
