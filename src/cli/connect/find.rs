//! Finds a model among those the caller may use; where it is not, says what to ask.

use super::super::error::Failure;
use crate::{
    client::{Kind, Status},
    wire::{api::Model, code},
};

/// How alike two names must be to be offered (Jaro–Winkler, 0 to 1).
const ALIKE: f64 = 0.8;

/// The model of that name. The gateway only lists what a policy allows, so that an unknown model and
/// a forbidden one look alike from here.
pub(in crate::cli) fn find<'a>(
    name: &str,
    models: &'a [Model],
    caller: Option<&Status>,
) -> Result<&'a Model, Failure> {
    if let Some(model) = models.iter().find(|model| model.name == name) {
        return Ok(model);
    }
    let user = caller.map_or("you", |caller| caller.user.as_str());
    let mut message = format!("there is no model {name:?} that {user} may use");
    if let Some(near) = nearest(name, models) {
        message.push_str(&format!("; did you mean {near:?}?"));
    }
    Err(Failure::new(Kind::Denied, code::MODEL_UNKNOWN, message).remedy(format!(
        "hoopctl models lists yours; the gateway's operator sees why with: {}",
        question(name, caller)
    )))
}

/// The model of the caller's with the most similar name, if one is similar.
pub(in crate::cli) fn nearest<'a>(name: &str, models: &'a [Model]) -> Option<&'a str> {
    models
        .iter()
        .map(|model| (strsim::jaro_winkler(&model.name, name), model.name.as_str()))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .map(|(_, near)| near)
}

/// The command that answers why.
fn question(model: &str, caller: Option<&Status>) -> String {
    let mut command = "hoopctl gateway explain --config gateway.toml".to_owned();
    if let Some(caller) = caller {
        command.push_str(&format!(" --user {}", quoted(&caller.user)));
        for group in &caller.groups {
            command.push_str(&format!(" --group {}", quoted(group)));
        }
    }
    command.push_str(&format!(" --model {}", quoted(model)));
    command
}

/// As one word of a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@%+=:,./_-".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str) -> Model {
        Model {
            name: name.into(),
            dialect: "http".into(),
            tls: "required".into(),
            labels: Default::default(),
            access: "permit".into(),
        }
    }

    fn alice() -> Status {
        Status {
            schema: 1,
            gateway: "https://gw.example.test".into(),
            user: "alice@example.test".into(),
            groups: vec!["ml".into(), "risk 'n' co".into()],
            provider: "sso".into(),
            expires_at: String::new(),
            session_expires_at: String::new(),
            credential_store: "file".into(),
            transport: None,
            method: None,
            profile: String::new(),
            gateway_certificate: None,
            roots: Vec::new(),
        }
    }

    #[test]
    fn a_model_that_is_not_there_names_the_nearest_and_the_question_to_ask() {
        let models = [model("fraud-detector"), model("llama")];
        assert_eq!(find("llama", &models, None).unwrap().name, "llama");
        let failure = find("fraud-detecter", &models, Some(&alice())).unwrap_err();
        assert_eq!(failure.exit_code(), 3);
        let error = failure.json().unwrap()["error"].clone();
        assert_eq!(error["code"], "model_unknown");
        assert!(error["message"].as_str().unwrap().contains("did you mean \"fraud-detector\"?"));
        assert!(error["remedy"].as_str().unwrap().ends_with(
            r"hoopctl gateway explain --config gateway.toml --user alice@example.test --group ml --group 'risk '\''n'\'' co' --model fraud-detecter"
        ));
        let far = find("zzz", &models, None).unwrap_err().json().unwrap();
        assert!(!far["error"]["message"].as_str().unwrap().contains("did you mean"));
    }
}
