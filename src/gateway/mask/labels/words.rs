//! The words that name values, in the languages that answers are written in: `words.txt`.

/// The phrases, and the words that may stand behind them.
const WORDS: &str = include_str!("words.txt");
/// The section of words that say no more than "is".
const VERBS: &str = "Verbs";

macro_rules! labels {
    ($($(#[$doc:meta])* $label:ident),* $(,)?) => {
        /// What a label says its value is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in super::super) enum Label { $($(#[$doc])* $label),* }

        impl Label {
            /// The label that a section of the words is called by.
            fn named(name: &str) -> Option<Self> {
                match name { $(stringify!($label) => Some(Self::$label),)* _ => None }
            }
        }
    };
}

labels! {
    Other, Email, Phone, Dob, Ssn, Itin, Sin, Tfn, Nino, Nhs, Aadhaar, InPan, VoterId, Nir, DeTaxId,
    FiscalCode, Dni, Nie, Cpf, Cnpj, Cnh, Pis, Pesel, Bsn, Rrn, Personnummer, CnId, Hetu, Nric, ThaiId,
    NationalId, TaxId, Passport, License, Mrn, Mbi, AuMedicare, HealthId, Account, AccountWord, Routing, Card, Cvv,
    Pin, Expiry, Iban, Bic, Wallet, Abn, Acn, Gstin, Vin, Plate, Ip, Mac, AwsSecret, AzureSecret,
    GcpSecret, Secret, Password, Version,
}

/// Every phrase with what it names.
pub(super) fn phrases() -> impl Iterator<Item = (Label, &'static str)> {
    sections().filter_map(|(name, words)| Some((Label::named(name)?, words))).flat_map(|(label, words)| {
        words.split(',').map(str::trim).filter(|w| !w.is_empty()).map(move |word| (label, word))
    })
}

/// Words that may stand between a label and its value without weakening it, squeezed.
pub(super) fn verbs() -> impl Iterator<Item = &'static str> {
    sections()
        .filter(|(name, _)| *name == VERBS)
        .flat_map(|(_, words)| words.split(',').map(str::trim).filter(|w| !w.is_empty()))
}

/// The sections of the file: name and words.
fn sections() -> impl Iterator<Item = (&'static str, &'static str)> {
    WORDS.split("\n[").skip(1).filter_map(|section| section.split_once(']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_names_something() {
        let unknown: Vec<&str> =
            sections().map(|(name, _)| name).filter(|n| *n != VERBS && Label::named(n).is_none()).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        assert!(phrases().count() > 1000 && verbs().count() > 50);
    }
}
