//! `hoopctl models`.

use super::{
    error::{DONE, Failure, Outcome},
    invocation::Invocation,
    printer::Printer,
    remembered,
    table::Table,
};
use crate::{config::laptop::Output, wire::api::Model};

/// Lists the models the caller may use.
pub(super) async fn perform(with: &Invocation) -> Outcome {
    let (_laptop, link) = with.connected().await?;
    let models = link.models().await?;
    remembered::remember(link.gateway(), &models, with);
    link.close().await;
    print(&models, &with.printer)?;
    Ok(DONE)
}

fn print(models: &[Model], printer: &Printer) -> Result<(), Failure> {
    if printer.manner().output != Output::Human {
        return printer.documents(models);
    }
    if models.is_empty() {
        printer.note("no policy lets you use a model here; ask the gateway's operator");
        return Ok(());
    }
    let mut table = Table::new(&["NAME", "DIALECT", "ACCESS", "TLS", "LABELS"]);
    for model in models {
        let labels: Vec<String> = model.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        // Whatever is not fully protected stands out.
        let tls = if model.tls == "required" { model.tls.clone() } else { format!("{} (!)", model.tls) };
        table.row([&model.name, &model.dialect, &model.access, &tls, &labels.join(" ")]);
    }
    printer.table(&table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::printer::paper;

    fn model(name: &str, tls: &str) -> Model {
        Model {
            name: name.into(),
            dialect: "openai".into(),
            tls: tls.into(),
            labels: [("risk".to_owned(), "low".to_owned())].into(),
            access: "permit".into(),
        }
    }

    #[test]
    fn a_relaxed_model_is_marked_and_names_are_neutralised() {
        let (printer, out, _) = paper::printer(Output::Human);
        print(&[model("a", "required"), model("b\u{1b}", "relaxed")], &printer).unwrap();
        assert_eq!(
            out.text(),
            "NAME     DIALECT  ACCESS  TLS          LABELS\n\
             a        openai   permit  required     risk=low\n\
             b\\u{1b}  openai   permit  relaxed (!)  risk=low\n"
        );
    }

    #[test]
    fn the_json_is_an_array_of_models() {
        let (printer, out, _) = paper::printer(Output::Json);
        print(&[model("a", "required")], &printer).unwrap();
        let json: serde_json::Value = serde_json::from_str(&out.text()).unwrap();
        assert_eq!(
            json.to_string(),
            r#"[{"name":"a","dialect":"openai","tls":"required","labels":{"risk":"low"},"access":"permit"}]"#
        );
    }
}
