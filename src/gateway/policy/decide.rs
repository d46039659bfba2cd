//! Answers questions: permit, ask or deny, and why.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use aws_lc_rs::digest;
use cedar_policy::{
    ActionConstraint, AuthorizationError, Authorizer, Decision, Effect, Entities, Entity, EntityUid, Policy,
    PolicySet, Request, RestrictedExpression,
};
use serde::{Deserialize, Serialize};

use super::{
    Action, Context, Mistake, ModelFacts, Question, Resource,
    check::approvers,
    hint,
    index::{Index, Reads, Slice, Table},
    remembered::{self, Remembered},
    vocabulary,
};
use crate::{clock, evidence::tlog::Hash, gateway::identity::Caller};

/// The kinds of answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Yes.
    Permit,
    /// Yes, once a person has said yes too.
    Ask,
    /// No.
    Deny,
}

/// The answer: outcome, the ids of the policies that decided it, and for a no, what is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The answer itself.
    pub outcome: Outcome,
    /// Ids, sorted: of a permit, the permits; of an ask, the permits once approved; of a deny, the forbids, if any.
    pub policies: Vec<String>,
    /// For an ask or a deny, a sentence that says what a yes would need.
    pub missing: Option<String>,
    /// For a deny that no forbid decided, the permits that came nearest, at most three.
    pub nearly: Vec<Near>,
    /// For an ask, what each policy that would permit wants of an approval; it is enough to meet one of them.
    pub terms: Vec<Terms>,
}

impl Verdict {
    /// The groups that any of the terms names, sorted.
    pub fn approvers(&self) -> Vec<String> {
        let groups: BTreeSet<&String> = self.terms.iter().flat_map(|terms| &terms.approvers).collect();
        groups.into_iter().cloned().collect()
    }
}

/// A permit that nearly held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Near {
    /// The policy's id.
    pub policy: String,
    /// Why it did not hold, as the rest of a sentence that begins with the policy.
    pub why: String,
}

/// What a policy wants of an approval (`@approvers`, `@lasts`, `@approvals_needed`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The policy's id.
    pub policy: String,
    /// SHA-256 of the policy's text, hex: what was asked and given under one text is not for another that takes over its id.
    #[serde(default)]
    pub digest: String,
    /// Groups whose members may say yes; empty: whoever policy permits to `approve` the model.
    pub approvers: Vec<String>,
    /// How long a yes lasts at most. [`DEFAULT_LASTS`] where the policy does not say.
    pub lasts: Duration,
    /// How many people must say yes, at least 1.
    pub needed: u32,
}

/// How long an approval lasts where the policy does not say.
pub const DEFAULT_LASTS: Duration = Duration::from_hours(1);

/// The unforgeable value that lets an exchange reach its upstream: made only by [`Policies::authorize`].
#[derive(Debug)]
pub struct Permit {
    model: String,
    policies: Vec<String>,
}

impl Permit {
    /// The model it is for.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Ids of the policies that permitted, sorted.
    pub fn policies(&self) -> &[String] {
        &self.policies
    }
}

/// A validated set of policies, laid out by scope.
pub struct Policies {
    index: Index,
    /// By name, the model's identifier and the store that holds just this model.
    models: HashMap<String, (EntityUid, Entities)>,
    gateway: (EntityUid, Entities),
    /// What the policies that speak of approvals want of one, by id.
    terms: HashMap<String, Terms>,
    /// The ids of those that hold for any action there is.
    for_anything: HashSet<String>,
    /// The SHA-256 of each file by its name.
    pub(super) files: BTreeMap<String, Hash>,
    count: usize,
    reads_requested_model: bool,
    warnings: Vec<Mistake>,
    authorizer: Authorizer,
    remembered: Remembered,
}

impl Policies {
    /// Pure. `approved` is `context.approved`: whether a valid approval stands behind the question. A decision that depends on nothing
    /// but who asks for what is remembered, and evaluated once.
    ///
    /// Denied unless some permit holds; any forbid that holds denies. Only `invoke` can be an ask: denied without an
    /// approval and permitted with one. A forbid that cannot be evaluated (an overflow in its arithmetic) counts as one
    /// that holds, a permit as one that does not.
    pub fn decide(&self, question: &Question<'_>, approved: bool) -> Verdict {
        let Some((resource, base)) = self.known(question.resource) else {
            return denied(Vec::new(), format!("{} is not configured", hint::subject(question.resource)));
        };
        let shelves = self.index.table(question.action).matching(std::iter::once(resource));
        let reads = shelves.fold(Reads::default(), |reads, shelf| reads.and(shelf.reads));
        let Some(key) = remembered::key(question, approved, reads) else {
            return self.judge(question, approved, resource, base);
        };
        if let Some(verdict) = self.remembered.get(&key) {
            return verdict;
        }
        let verdict = self.judge(question, approved, resource, base);
        self.remembered.put(key, verdict.clone());
        verdict
    }

    /// Evaluates, whatever is remembered.
    fn judge(
        &self,
        question: &Question<'_>,
        approved: bool,
        resource: &EntityUid,
        base: &Entities,
    ) -> Verdict {
        let answer = Asking::prepare(question, resource, base).and_then(|asking| {
            let first = self.evaluate(&asking, approved)?;
            let asks = question.action == Action::Invoke && !approved && !first.permitted();
            let second = if asks { self.evaluate(&asking, true)? } else { Answer::default() };
            Ok((asking, first, second))
        });
        match answer {
            Err(error) => denied(Vec::new(), format!("the question cannot be put to the policies: {error}")),
            Ok((_, first, _)) if first.permitted() => Verdict {
                outcome: Outcome::Permit,
                policies: first.permits.into_iter().collect(),
                missing: None,
                nearly: Vec::new(),
                terms: Vec::new(),
            },
            Ok((_, _, second)) if second.permitted() => self.ask(second.permits),
            Ok((asking, first, second)) => {
                let forbids = if first.forbids.is_empty() { second.forbids } else { first.forbids };
                self.deny(&asking, forbids)
            }
        }
    }

    /// Decides an `invoke`, whatever action the question names; a permit is the only way to an upstream.
    ///
    /// # Errors
    /// The verdict, when it is an ask or a deny.
    pub fn authorize(&self, question: &Question<'_>, approved: bool) -> Result<Permit, Verdict> {
        let Resource::Model(model) = question.resource else {
            return Err(denied(Vec::new(), "only a model can be invoked".to_owned()));
        };
        let verdict = self.decide(&Question { action: Action::Invoke, ..question.clone() }, approved);
        match verdict.outcome {
            Outcome::Permit => Ok(Permit { model: model.to_owned(), policies: verdict.policies }),
            Outcome::Ask | Outcome::Deny => Err(verdict),
        }
    }

    /// Whether who may invoke the model may see this answer of it as the model wrote it, whatever action the question names: the ids
    /// of the policies that permit `unmask`, sorted. `approved` is whether the exchange lives by an approval. `None`, that it is to be
    /// masked, is also the answer when the question cannot be put.
    pub fn unmasks(&self, question: &Question<'_>, approved: bool) -> Option<Vec<String>> {
        let question = Question { action: Action::Unmask, ..question.clone() };
        let (resource, base) = self.known(question.resource)?;
        let asking = Asking::prepare(&question, resource, base).ok()?;
        let answer = self.evaluate(&asking, approved).ok()?;
        answer.permitted().then(|| answer.permits.into_iter().collect())
    }

    /// What a policy wants of an approval now; `None` when there is no such policy.
    pub fn terms(&self, policy: &str) -> Option<&Terms> {
        self.terms.get(policy)
    }

    /// Whether what a request names as its model can matter to any decision.
    pub fn read_requested_model(&self) -> bool {
        self.reads_requested_model
    }

    /// The policies' files by name, each with the SHA-256 of its text.
    pub fn files(&self) -> &BTreeMap<String, Hash> {
        &self.files
    }

    /// How many policies there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none, so that everything is denied.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What is allowed but probably not meant: characters that look like others, or no policy at all.
    pub fn warnings(&self) -> &[Mistake] {
        &self.warnings
    }

    pub(super) fn warn(&mut self, warning: Mistake) {
        self.warnings.push(warning);
    }

    /// Lays checked policies out.
    pub(super) fn build(
        policies: Vec<Policy>,
        models: &[ModelFacts],
        warnings: Vec<Mistake>,
    ) -> Result<Self, String> {
        let terms = policies.iter().map(|policy| (policy.id().to_string(), terms(policy)));
        Ok(Self {
            for_anything: policies
                .iter()
                .filter(|policy| policy.action_constraint() == ActionConstraint::Any)
                .map(|policy| policy.id().to_string())
                .collect(),
            terms: terms.collect(),
            files: BTreeMap::new(),
            count: policies.len(),
            reads_requested_model: policies.iter().any(|policy| Reads::of(policy).requested_model),
            index: Index::build(policies)?,
            models: models
                .iter()
                .map(|facts| Ok((facts.name.clone(), store(vocabulary::model(&facts.name), facts)?)))
                .collect::<Result<_, String>>()?,
            gateway: store(vocabulary::gateway(), &gateway_facts())?,
            warnings,
            authorizer: Authorizer::new(),
            remembered: Remembered::default(),
        })
    }

    /// The identifier of what is configured, and the store that holds it.
    fn known(&self, resource: Resource<'_>) -> Option<&(EntityUid, Entities)> {
        match resource {
            Resource::Gateway => Some(&self.gateway),
            Resource::Model(name) => self.models.get(name),
        }
    }

    /// One evaluation, with the approval or without.
    fn evaluate(&self, asking: &Asking<'_>, approved: bool) -> Result<Answer, String> {
        let shelves = asking.table(&self.index).matching(std::iter::once(asking.resource));
        let slices: Vec<&Slice> = shelves
            .flat_map(|shelf| shelf.sets.matching(asking.principals.iter()))
            .filter(|slice| !slice.set.is_empty())
            .collect();
        let reads = slices.iter().fold(Reads::default(), |reads, slice| reads.and(slice.reads));
        let request = asking.request(approved, reads)?;
        let mut answer = Answer::default();
        for slice in slices {
            answer.add(&self.authorizer, &request, &slice.set, &asking.entities);
        }
        if asking.question.action == Action::Unmask {
            // Whoever lets somebody do anything has seldom thought of this: it takes a policy that names its actions.
            answer.permits.retain(|id| !self.for_anything.contains(id));
        }
        Ok(answer)
    }

    fn deny(&self, asking: &Asking<'_>, forbids: BTreeSet<String>) -> Verdict {
        let Question { caller, action, resource, .. } = asking.question;
        let (action, subject) = (action.name(), hint::subject(*resource));
        if !forbids.is_empty() {
            let ids = hint::listed(forbids.iter().map(String::as_str));
            let missing = format!("{action} on {subject} is forbidden by {ids}");
            return denied(forbids.into_iter().collect(), missing);
        }
        let nearly = hint::near_misses(asking.table(&self.index), asking.resource, &asking.principals);
        let missing = hint::no_permit(action, &subject, caller.user(), &caller.groups, &nearly);
        Verdict { nearly, ..denied(Vec::new(), missing) }
    }

    fn ask(&self, permits: BTreeSet<String>) -> Verdict {
        let terms = permits.iter().filter_map(|id| self.terms.get(id)).cloned().collect();
        let mut verdict = Verdict {
            outcome: Outcome::Ask,
            missing: None,
            nearly: Vec::new(),
            policies: permits.into_iter().collect(),
            terms,
        };
        let groups = verdict.approvers();
        let by = match groups.len() {
            0 => String::new(),
            _ => format!(" by a member of {}", hint::listed(groups.iter().map(String::as_str))),
        };
        verdict.missing = Some(format!("an approval{by}"));
        verdict
    }
}

/// What the annotations of a checked policy say of approvals.
fn terms(policy: &Policy) -> Terms {
    let annotation = |key| policy.annotation(key);
    let digest = digest::digest(&digest::SHA256, policy.to_string().as_bytes());
    Terms {
        policy: policy.id().to_string(),
        digest: digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect(),
        approvers: annotation("approvers")
            .map(|groups| approvers(groups).map(str::to_owned).collect())
            .unwrap_or_default(),
        lasts: annotation("lasts").and_then(clock::parse_duration).unwrap_or(DEFAULT_LASTS),
        needed: annotation("approvals_needed").and_then(|needed| needed.parse().ok()).unwrap_or(1),
    }
}

fn denied(policies: Vec<String>, missing: String) -> Verdict {
    Verdict {
        outcome: Outcome::Deny,
        policies,
        missing: Some(missing),
        nearly: Vec::new(),
        terms: Vec::new(),
    }
}

/// The ids that hold.
#[derive(Default)]
struct Answer {
    permits: BTreeSet<String>,
    forbids: BTreeSet<String>,
}

impl Answer {
    fn permitted(&self) -> bool {
        self.forbids.is_empty() && !self.permits.is_empty()
    }

    fn add(&mut self, authorizer: &Authorizer, request: &Request, set: &PolicySet, entities: &Entities) {
        let response = authorizer.is_authorized(request, set, entities);
        let ids = response.diagnostics().reason().map(ToString::to_string);
        match response.decision() {
            Decision::Allow => self.permits.extend(ids),
            Decision::Deny => self.forbids.extend(ids),
        }
        for AuthorizationError::PolicyEvaluationError(error) in response.diagnostics().errors() {
            // Cedar skips a policy that cannot be evaluated; for a forbid that would open the door.
            let id = error.policy_id();
            if set.policy(id).is_none_or(|policy| policy.effect() == Effect::Forbid) {
                self.forbids.insert(id.to_string());
            }
        }
    }
}

/// A question in Cedar's terms.
struct Asking<'a> {
    question: &'a Question<'a>,
    resource: &'a EntityUid,
    /// The user, then each group.
    principals: Vec<EntityUid>,
    entities: Entities,
}

impl<'a> Asking<'a> {
    fn prepare(question: &'a Question<'a>, resource: &'a EntityUid, base: &Entities) -> Result<Self, String> {
        let caller = question.caller;
        let user = vocabulary::user(caller.user());
        let groups: Vec<EntityUid> = caller.groups.iter().map(|group| vocabulary::group(group)).collect();
        let entity = Entity::new_with_tags(user.clone(), attributes(caller), groups.iter().cloned(), [])
            .map_err(|error| error.to_string())?;
        let entities = base.clone().add_entities([entity], None).map_err(|error| error.to_string())?;
        let principals = std::iter::once(user).chain(groups).collect();
        Ok(Self { question, resource, principals, entities })
    }

    fn table<'b>(&self, index: &'b Index) -> &'b Table {
        index.table(self.question.action)
    }

    fn request(&self, approved: bool, reads: Reads) -> Result<Request, String> {
        let context =
            cedar_policy::Context::from_pairs(circumstances(&self.question.context, approved, reads))
                .map_err(|error| error.to_string())?;
        let user = vocabulary::user(self.question.caller.user());
        let action = vocabulary::action(self.question.action);
        Request::new(user, action, self.resource.clone(), context, None).map_err(|error| error.to_string())
    }
}

fn attributes(caller: &Caller) -> impl Iterator<Item = (String, RestrictedExpression)> {
    let optional = [("name", caller.name.as_deref()), ("email", caller.email.as_deref())];
    let always = [("subject", text(&caller.subject)), ("provider", text(&caller.provider))];
    optional
        .into_iter()
        .filter_map(|(key, value)| Some((key, text(value?))))
        .chain(always)
        .chain([("workload", RestrictedExpression::new_bool(caller.workload))])
        .map(|(key, value)| (key.to_owned(), value))
}

/// The context, without what nobody reads.
fn circumstances(
    context: &Context<'_>,
    approved: bool,
    reads: Reads,
) -> impl Iterator<Item = (String, RestrictedExpression)> {
    let transport = context.transport.map(|transport| transport.to_string()).unwrap_or_default();
    let source_ip = reads.source_ip.then(|| {
        // A client on a dual-stack socket is its IPv4 self to a policy that speaks of 10.0.0.0/8.
        let source = context.source_ip.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ip| ip.to_canonical());
        ("source_ip", RestrictedExpression::new_ip(source.to_string()))
    });
    let now = reads.now.then(|| ("now", RestrictedExpression::new_datetime(clock::rfc3339(context.now))));
    let method = reads.method.then(|| ("method", text(context.method)));
    let path = reads.path.then(|| ("path", text(context.path)));
    let requested_model =
        reads.requested_model.then(|| ("requested_model", text(context.requested_model.unwrap_or_default())));
    [
        ("approved", RestrictedExpression::new_bool(approved)),
        ("transport", RestrictedExpression::new_string(transport)),
        ("upstream_encrypted", RestrictedExpression::new_bool(context.upstream_encrypted)),
    ]
    .into_iter()
    .chain([source_ip, now, method, path, requested_model].into_iter().flatten())
    .map(|(key, value)| (key.to_owned(), value))
}

/// The store that holds one resource.
fn store(uid: EntityUid, facts: &ModelFacts) -> Result<(EntityUid, Entities), String> {
    let attributes = [("name", &facts.name), ("dialect", &facts.dialect), ("tls", &facts.tls)];
    let entity = Entity::new_with_tags(
        uid.clone(),
        attributes.map(|(key, value)| (key.to_owned(), text(value))),
        [],
        facts.labels.iter().map(|(key, value)| (key.clone(), text(value))),
    )
    .map_err(|error| error.to_string())?;
    let entities = Entities::from_entities([entity], None).map_err(|error| error.to_string())?;
    Ok((uid, entities))
}

/// The gateway speaks no dialect, and no leg of it is unencrypted.
fn gateway_facts() -> ModelFacts {
    ModelFacts {
        name: vocabulary::GATEWAY.to_owned(),
        dialect: String::new(),
        tls: "required".to_owned(),
        labels: BTreeMap::new(),
    }
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

#[cfg(test)]
mod tests;
