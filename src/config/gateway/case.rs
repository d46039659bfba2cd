//! Questions to the policies as people write them: for `gateway explain`, and in files of policy tests.

use std::{net::IpAddr, path::Path, time::SystemTime};

use toml::de::DeValue;

use super::{
    Mistake, file,
    reader::{Report, Table, Value, shown},
    value,
};
use crate::{
    clock,
    gateway::{
        Config,
        identity::Caller,
        policy::{Action, Context, Outcome, Policies, Question, Resource, Verdict},
    },
    tunnel::Transport,
};

/// The most cases of one file.
const MAX_CASES: usize = 10_000;

const OUTCOMES: [(&str, Outcome); 3] =
    [("permit", Outcome::Permit), ("ask", Outcome::Ask), ("deny", Outcome::Deny)];

const TRANSPORTS: [(&str, Transport); 2] = [("quic", Transport::Quic), ("tcp", Transport::Tcp)];

/// One question: who wants to do what with which model, and how.
#[derive(Clone, Debug)]
pub struct Case {
    /// Who.
    pub caller: Caller,
    /// A model of the configuration.
    pub model: String,
    /// What.
    pub action: Action,
    /// As if a person had approved it.
    pub approved: bool,
    /// The carrier.
    pub transport: Transport,
    /// Where the caller is.
    pub source_ip: Option<IpAddr>,
    /// HTTP method.
    pub method: String,
    /// HTTP path without query.
    pub path: String,
    /// The model named in the request itself.
    pub requested_model: Option<String>,
    /// When; `None`: now.
    pub now: Option<SystemTime>,
    /// Whether the upstream leg is encrypted; `None`: as the model is configured.
    pub upstream_encrypted: Option<bool>,
}

impl Case {
    /// An ordinary request of somebody with these groups.
    pub fn new(user: &str, groups: Vec<String>, model: &str) -> Self {
        let caller = Caller {
            subject: user.to_owned(),
            email: user.contains('@').then(|| user.to_owned()),
            name: None,
            groups,
            provider: String::new(),
            workload: false,
            session: String::new(),
        };
        Self {
            caller,
            model: model.to_owned(),
            action: Action::Invoke,
            approved: false,
            transport: Transport::Quic,
            source_ip: None,
            method: "POST".to_owned(),
            path: "/".to_owned(),
            requested_model: None,
            now: None,
            upstream_encrypted: None,
        }
    }

    /// What the gateway would answer about `unmask` once the exchange is let through with `approved`; `None`: the model has no `mask`.
    pub fn unmask(
        &self,
        approved: bool,
        policies: &Policies,
        config: &Config,
        now: SystemTime,
    ) -> Option<Verdict> {
        let model = config.models.iter().find(|model| model.name == self.model)?;
        model.mask.as_ref()?;
        let case = Self { action: Action::Unmask, approved, ..self.clone() };
        Some(case.decide(policies, config, now))
    }

    /// Decides as the gateway with this configuration would.
    pub fn decide(&self, policies: &Policies, config: &Config, now: SystemTime) -> Verdict {
        let model = config.models.iter().find(|model| model.name == self.model);
        let encrypted = model.is_some_and(|model| model.upstream.encrypted());
        let question = Question {
            caller: &self.caller,
            action: self.action,
            resource: Resource::Model(&self.model),
            context: Context {
                transport: Some(self.transport),
                upstream_encrypted: self.upstream_encrypted.unwrap_or(encrypted),
                source_ip: self.source_ip,
                now: self.now.unwrap_or(now),
                method: &self.method,
                path: &self.path,
                requested_model: self.requested_model.as_deref(),
            },
        };
        policies.decide(&question, self.approved)
    }
}

/// A case and what the policies are to answer.
#[derive(Clone, Debug)]
pub struct PolicyTest {
    /// As it is called in the file, else its number.
    pub name: String,
    /// The question.
    pub case: Case,
    /// The answer that is right.
    pub expect: Outcome,
    /// The policies that must have decided it, when the file says.
    pub policies: Option<Vec<String>>,
    /// Line of the case, from 1.
    pub line: usize,
}

impl PolicyTest {
    /// Asks; `None` when the answer is right, else what is wrong and how to look closer.
    pub fn run(&self, file: &Path, policies: &Policies, config: &Config, now: SystemTime) -> Option<Mistake> {
        let verdict = self.case.decide(policies, config, now);
        let decided = || verdict.policies.join(", ");
        let wrong = if verdict.outcome != self.expect {
            let why = match (&verdict.missing, verdict.policies.is_empty()) {
                (Some(missing), _) => missing.clone(),
                (None, false) => format!("decided by {}", decided()),
                (None, true) => "no policy speaks for it".to_owned(),
            };
            format!("expected {}, got {}: {why}", word(self.expect), word(verdict.outcome))
        } else if self.policies.as_ref().is_some_and(|expected| *expected != verdict.policies) {
            let expected = self.policies.clone().unwrap_or_default().join(", ");
            format!("{} as expected, but decided by [{}], not [{expected}]", word(self.expect), decided())
        } else {
            return None;
        };
        Some(Mistake {
            file: file.to_owned(),
            line: Some(self.line),
            column: None,
            message: format!("case `{}`: {wrong}", self.name),
            remedy: None,
        })
    }
}

/// The word of an outcome.
pub fn word(outcome: Outcome) -> &'static str {
    OUTCOMES.iter().find(|(_, one)| *one == outcome).map_or("deny", |(word, _)| word)
}

/// Reads a file of `[[case]]` for the models of a configuration.
///
/// # Errors
/// Every mistake in it, in the order of lines; never empty.
pub fn policy_tests(path: &Path, config: &Config) -> Result<Vec<PolicyTest>, Vec<Mistake>> {
    let mut report = Report::new(path);
    let tests = match file::text(path) {
        Ok(text) => read(&text, config, &mut report),
        Err(cause) => {
            let remedy = "`hoopctl gateway init DIR` writes a sample, policy-tests.toml";
            report.elsewhere(path, format!("the policy tests cannot be read: {cause}"), Some(remedy));
            Vec::new()
        }
    };
    let (mistakes, ..) = report.finish();
    if mistakes.is_empty() { Ok(tests) } else { Err(mistakes) }
}

fn read(text: &str, config: &Config, report: &mut Report) -> Vec<PolicyTest> {
    let Some(document) = report.parse(text) else { return Vec::new() };
    let mut root = Table::root(document.get_ref());
    let sections = root.sections("case", report);
    root.finish(report);
    if sections.is_empty() {
        let remedy = "add [[case]] with caller, groups, model and expect".to_owned();
        report.mistake(&(0..0), "there is no [[case]] in this file".to_owned(), Some(remedy));
    }
    if sections.len() > MAX_CASES {
        let remedy = "split it into several files".to_owned();
        report.mistake(&(0..0), format!("there are more than {MAX_CASES} cases"), Some(remedy));
        return Vec::new();
    }
    let numbered = sections.into_iter().zip(1..);
    numbered.filter_map(|(table, number)| test(table, number, config, report)).collect()
}

fn test(mut table: Table<'_>, number: usize, config: &Config, report: &mut Report) -> Option<PolicyTest> {
    let line = report.line(table.span().start);
    let name = table.read("name", report, value::text).unwrap_or_else(|| number.to_string());
    let caller = table.need("caller", "\"alice@example.com\"", report, value::text);
    let groups = table.read("groups", report, value::texts).unwrap_or_default();
    let known = |value: &Value<'_>, report: &mut Report| model(value, config, report);
    let model = table.need("model", "\"fraud-detector\"", report, known);
    let mut case =
        Case::new(caller.as_deref().unwrap_or_default(), groups, model.as_deref().unwrap_or_default());
    case.caller.provider = table.read("provider", report, value::text).unwrap_or_default();
    case.caller.workload = table.read("workload", report, boolean).unwrap_or(false);
    let actions = Action::ALL.map(|action| (action.name(), action));
    case.action =
        table.read("action", report, |value, report| value.one_of(&actions, report)).unwrap_or(case.action);
    case.approved = table.read("approved", report, boolean).unwrap_or(false);
    if let Some(context) = table.take("context").and_then(|value| value.table(report)) {
        circumstances(context, &mut case, report);
    }
    let expect = table.need("expect", "\"permit\", \"ask\" or \"deny\"", report, |value, report| {
        value.one_of(&OUTCOMES, report)
    });
    let policies = table.read("policies", report, value::texts).map(|mut ids| {
        ids.sort();
        ids
    });
    table.finish(report);
    let (expect, _, _) = (expect?, caller?, model?);
    Some(PolicyTest { name, case, expect, policies, line })
}

fn circumstances(mut table: Table<'_>, case: &mut Case, report: &mut Report) {
    case.approved |= table.read("approved", report, boolean).unwrap_or(false);
    let transport = table.read("transport", report, |value, report| value.one_of(&TRANSPORTS, report));
    case.transport = transport.unwrap_or(case.transport);
    case.upstream_encrypted = table.read("upstream_encrypted", report, boolean);
    case.source_ip = table.read("source_ip", report, |value, report| {
        let parsed = value.string(report)?.parse().ok();
        if parsed.is_none() {
            value.wrong("not an address", "write it like \"10.1.2.3\"", report);
        }
        parsed
    });
    case.now = table.read("now", report, |value, report| {
        let parsed = clock::parse_rfc3339(value.string(report)?);
        if parsed.is_none() {
            value.wrong("not a time", "write it like \"2026-11-23T07:15:00Z\"", report);
        }
        parsed
    });
    let or =
        |written: Option<String>, before: &mut String| *before = written.unwrap_or_else(|| before.clone());
    or(table.read("method", report, value::text), &mut case.method);
    or(table.read("path", report, value::text), &mut case.path);
    case.requested_model = table.read("requested_model", report, value::text);
    table.finish(report);
}

fn model(value: &Value<'_>, config: &Config, report: &mut Report) -> Option<String> {
    let written = value.string(report)?;
    if config.models.iter().any(|model| model.name == written) {
        return Some(written.to_owned());
    }
    let names: Vec<&str> = config.models.iter().map(|model| model.name.as_str()).collect();
    let what = format!("\"{}\", which the configuration does not have", shown(written));
    value.wrong(&what, &super::reader::nearest(written, &names), report);
    None
}

fn boolean(value: &Value<'_>, report: &mut Report) -> Option<bool> {
    match value.raw() {
        DeValue::Boolean(written) => Some(*written),
        _ => {
            value.wrong_type("true or false", report);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::UNIX_EPOCH};

    use super::*;
    use crate::{
        config::gateway::{init, load},
        gateway::mask,
    };

    fn sample() -> (tempfile::TempDir, Config, Policies) {
        let dir = tempfile::tempdir().unwrap();
        init(dir.path()).unwrap();
        let config = load(&dir.path().join("gateway.toml")).unwrap();
        let policies = Policies::load(&config.policies, &config.facts()).unwrap();
        (dir, config, policies)
    }

    fn tests(text: &str) -> Result<Vec<Option<String>>, Vec<String>> {
        let (dir, config, policies) = sample();
        let path = dir.path().join("cases.toml");
        std::fs::write(&path, text).unwrap();
        match policy_tests(&path, &config) {
            Ok(tests) => Ok(tests
                .iter()
                .map(|test| test.run(&path, &policies, &config, UNIX_EPOCH).map(|wrong| wrong.message))
                .collect()),
            Err(mistakes) => Err(mistakes
                .iter()
                .map(|mistake| format!("{}: {}", mistake.line.unwrap_or(0), mistake.message))
                .collect()),
        }
    }

    #[test]
    fn the_sample_of_init_passes() {
        let (dir, config, policies) = sample();
        let path = dir.path().join("policy-tests.toml");
        let tests = policy_tests(&path, &config).unwrap();
        assert_eq!(tests.len(), 2);
        for test in tests {
            assert_eq!(test.run(&path, &policies, &config, UNIX_EPOCH), None);
        }
    }

    #[test]
    fn a_case_answered_otherwise_is_named_with_its_line_and_why() {
        let (dir, config, policies) = sample();
        let path = dir.path().join("cases.toml");
        let text =
            "\n[[case]]\nname = \"mallory\"\ncaller = \"mallory\"\nmodel = \"llama\"\nexpect = \"permit\"\n";
        std::fs::write(&path, text).unwrap();
        let test = &policy_tests(&path, &config).unwrap()[0];
        let wrong = test.run(&path, &policies, &config, UNIX_EPOCH).unwrap();
        assert_eq!(wrong.line, Some(2));
        assert!(
            wrong.message.starts_with("case `mallory`: expected permit, got deny: no policy permits"),
            "{wrong}"
        );
    }

    #[test]
    fn the_deciding_policies_count_when_they_are_named() {
        let case = |ids: &str| {
            let text = format!(
                "[[case]]\ncaller = \"a\"\ngroups = [\"ml-engineers\"]\nmodel = \"llama\"\nexpect = \"permit\"\npolicies = {ids}"
            );
            tests(&text).unwrap().remove(0)
        };
        assert_eq!(case("[\"ml-team\"]"), None);
        let wrong = case("[\"other\"]").unwrap();
        assert_eq!(wrong, "case `1`: permit as expected, but decided by [ml-team], not [other]");
    }

    #[test]
    fn the_context_of_a_case_reaches_the_policies() {
        let (_dir, config, _) = sample();
        let text = r#"permit(principal, action, resource) when {
            context.transport == "tcp" && context.source_ip == ip("10.1.2.3") && context.method == "GET"
            && context.path == "/x" && context.requested_model == "m" && !context.upstream_encrypted && context.approved
            && context.now == datetime("2026-11-23T07:15:00.000Z") && principal.provider == "corp" && principal.workload };"#;
        let policies = Policies::parse(&[("p.cedar".into(), text.to_owned())], &config.facts()).unwrap();
        let case = |context: &str| {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("cases.toml");
            let text = format!(
                "[[case]]\ncaller = \"a\"\nmodel = \"llama\"\nprovider = \"corp\"\nworkload = true\nexpect = \"permit\"\n\
                 [case.context]\n{context}"
            );
            std::fs::write(&path, text).unwrap();
            policy_tests(&path, &config).unwrap()[0].case.decide(&policies, &config, UNIX_EPOCH).outcome
        };
        let whole = "transport = \"tcp\"\nsource_ip = \"10.1.2.3\"\nmethod = \"GET\"\npath = \"/x\"\nrequested_model = \"m\"\n\
                     upstream_encrypted = false\nnow = \"2026-11-23T07:15:00Z\"\napproved = true\n";
        assert_eq!(case(whole), Outcome::Permit);
        for (index, line) in whole.lines().enumerate() {
            let less: String =
                whole.lines().filter(|one| *one != line).map(|line| format!("{line}\n")).collect();
            let expected = if line.starts_with("approved") {
                Outcome::Ask
            // The sample's model is configured as plaintext, so the same is meant without the line.
            } else if line.starts_with("upstream") {
                Outcome::Permit
            } else {
                Outcome::Deny
            };
            assert_eq!(case(&less), expected, "{index}: {line}");
        }
    }

    #[test]
    fn a_masked_models_unmask_is_asked_as_the_gateway_asks_it() {
        let (_dir, mut config, _) = sample();
        let text = r#"@id("use") permit(principal, action == Action::"invoke", resource);
            @id("desk") permit(principal in Group::"desk", action == Action::"unmask", resource) when { context.approved };"#;
        let policies = Policies::parse(&[("p.cedar".into(), text.to_owned())], &config.facts()).unwrap();
        let case = Case::new("alice", vec!["desk".to_owned()], "llama");
        assert_eq!(case.unmask(true, &policies, &config, UNIX_EPOCH), None, "the model has no mask");
        config.models[0].mask = Some(mask::Config {
            rules: Arc::new(mask::Rules::everything(mask::Style::Label)),
            fields: Arc::default(),
            request: false,
            unknown: mask::Unknown::Refuse,
            analyser: None,
        });
        for approved in [false, true] {
            let verdict = case.unmask(approved, &policies, &config, UNIX_EPOCH).unwrap();
            assert_eq!(verdict.outcome == Outcome::Permit, approved);
            assert_eq!(verdict.policies, if approved { vec!["desk"] } else { vec![] });
        }
    }

    #[test]
    fn every_mistake_of_a_file_is_told_at_once() {
        let text = r#"
[[case]]
caller = "a"
model = "lama"
expect = "maybe"
[[case]]
caller = "a"
model = "llama"
expects = "deny"
context = { source_ip = "x", now = "today", weather = "fine" }
[case2]
"#;
        let mistakes = tests(text).unwrap_err();
        for expected in [
            "4: `model` is \"lama\", which the configuration does not have",
            "5: `expect` cannot be \"maybe\"",
            "6: [[case]] has no `expect`",
            "9: unknown key `expects` in [[case]]",
            "10: `source_ip` is not an address",
            "10: `now` is not a time",
            "10: unknown key `weather` in `context`",
            "11: unknown key `case2` in this file",
        ] {
            assert!(mistakes.iter().any(|found| found == expected), "{expected} is not in {mistakes:#?}");
        }
        assert!(tests("").unwrap_err()[0].contains("no [[case]]"));
    }
}
