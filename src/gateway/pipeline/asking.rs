//! The stage of policy: a permit, at once or by an approval, or a wait for one in place.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::request::Parts;

use super::{
    Stages,
    exchange::Draft,
    models::Model,
    path::{Way, known},
};
use crate::{
    gateway::{
        approval::{Asking, Grant, Request},
        audit::anomalies::Held,
        identity::Caller,
        policy::{Action, Context, Outcome, Permit, Policies, Question, Resource, Terms, Verdict},
        respond::Problem,
    },
    tunnel::Transport,
    wire::code,
};

/// Exchanges of one caller that wait at once, over all its connections.
pub(super) const MAX_WAITING: usize = 256;

/// How many exchanges of each caller wait: each of them holds a stream and what was read of its body, for as long as people take.
#[derive(Default)]
pub(super) struct Waiters(Mutex<HashMap<Who, usize>>);

/// A provider, and who somebody is there.
type Who = (String, String);

/// One exchange that waits; dropped when it no longer does.
pub(super) struct Waiter<'a> {
    among: &'a Waiters,
    who: Who,
}

impl Waiters {
    /// An exchange of the caller begins to wait.
    ///
    /// # Errors
    /// When [`MAX_WAITING`] of the caller's do already.
    pub(super) fn one_more(&self, caller: &Caller) -> Result<Waiter<'_>, Problem> {
        let who = (caller.provider.clone(), caller.subject.clone());
        let mut counts = self.lock();
        let count = counts.entry(who.clone()).or_default();
        if *count >= MAX_WAITING {
            let message = format!("too many of your requests wait for an approval: {MAX_WAITING}");
            return Err(Problem::new(code::LIMIT, message)
                .remedy("wait until some of them are decided, or end those that nobody needs"));
        }
        *count += 1;
        Ok(Waiter { among: self, who })
    }

    /// How many wait, of all callers.
    #[cfg(test)]
    pub(super) fn all(&self) -> usize {
        self.lock().values().sum()
    }

    /// A poisoned lock guards plain numbers, which are whole between any two statements.
    fn lock(&self) -> MutexGuard<'_, HashMap<Who, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut counts = self.among.lock();
        if let Some(count) = counts.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.who);
            }
        }
    }
}

/// What policy is asked about a request.
pub(super) struct Asked<'a> {
    pub(super) head: &'a Parts,
    /// The model that the request itself names.
    pub(super) requested_model: Option<&'a str>,
}

/// What an exchange goes on with.
pub(super) struct Admitted {
    /// With the groups of now.
    pub(super) caller: Arc<Caller>,
    pub(super) model: Arc<Model>,
    pub(super) permit: Permit,
    /// The approval the permit lives by.
    pub(super) grant: Option<Grant>,
}

/// Decides, and waits in place for a person's yes where that is what is missing. Nothing of the request's body is read meanwhile. After a
/// wait everything that may have changed is looked at anew: who calls, with which groups, the model, the policies.
pub(super) async fn admit(
    way: &Arc<Way>,
    mut model: Arc<Model>,
    mut caller: Arc<Caller>,
    asked: &Asked<'_>,
    draft: &mut Draft,
) -> Result<Admitted, Problem> {
    loop {
        // Whoever is suspended goes no further, also after a wait.
        way.stages.unsuspended(&caller)?;
        let verdict = match permitted(way, &model, &caller, asked) {
            Ok((permit, grant)) => return Ok(Admitted { caller, model, permit, grant }),
            Err(verdict) => verdict,
        };
        draft.verdict(&verdict);
        if verdict.outcome != Outcome::Ask {
            return Err(Problem::refused(&verdict, caller.user(), &model.config.name));
        }
        let reason = way.arrival.asking.reason.as_deref();
        let request = way.stages.file(&caller, &model, &verdict.terms, reason).await?;
        draft.waits_for(&request.id);
        if !way.arrival.asking.wait {
            return Err(Problem::approval_required(&request, &way.stages.approvals.page(&request.id)));
        }
        wait(way, &caller, &request).await?;
        caller = way.arrival.lease.check(way.stages.clock.now())?;
        draft.resumed(&caller, way);
        let now_called = way.stages.model(&way.arrival.model);
        model = known(way, now_called, &caller)?;
    }
}

/// Waits until somebody has decided, the caller's authority ends, or the gateway goes away.
async fn wait(way: &Arc<Way>, caller: &Caller, request: &Arc<Request>) -> Result<(), Problem> {
    let _counted = way.stages.waiting.one_more(caller)?;
    let approvals = &way.stages.approvals;
    let decision = approvals.decision(&request.id);
    let _waiting = way.signals.wait();
    let told = way.arrival.notices.as_ref().map(|notices| notices.pending(request, approvals));
    let ended = way.arrival.lease.streams();
    let decision = tokio::select! {
        biased;
        () = ended.cancelled() => {
            way.arrival.lease.check(way.stages.clock.now())?;
            return Ok(());
        }
        decision = decision => decision,
    };
    if let Some(told) = told {
        told.decided(&decision);
    }
    Problem::not_approved(request, &decision).map_or(Ok(()), Err)
}

/// The policies that let the caller see the answer to a permitted request without masking; `None`: it is masked.
pub(super) fn unmasked(
    way: &Way,
    model: &Model,
    caller: &Caller,
    asked: &Asked<'_>,
    approved: bool,
) -> Option<Vec<String>> {
    let question = question(way, model, caller, asked, Action::Unmask);
    way.stages.policies.load().unmasks(&question, approved)
}

fn question<'a>(
    way: &'a Way,
    model: &'a Model,
    caller: &'a Caller,
    asked: &'a Asked<'_>,
    action: Action,
) -> Question<'a> {
    Question {
        caller,
        action,
        resource: Resource::Model(&model.config.name),
        context: Context {
            transport: Some(way.arrival.transport),
            upstream_encrypted: model.upstream.encrypted(),
            source_ip: Some(way.arrival.source),
            now: way.stages.clock.now(),
            method: asked.head.method.as_str(),
            path: asked.head.uri.path(),
            requested_model: asked.requested_model,
        },
    }
}

/// The permit, by policy alone or by an approval the caller has; or the verdict that tells what is missing.
fn permitted(
    way: &Way,
    model: &Model,
    caller: &Caller,
    asked: &Asked<'_>,
) -> Result<(Permit, Option<Grant>), Verdict> {
    let question = question(way, model, caller, asked, Action::Invoke);
    let policies = way.stages.policies.load();
    if let Some(demand) = way.stages.demand(caller) {
        return way.stages.permitted_anew(&question, model, &policies, &demand);
    }
    let verdict = match policies.authorize(&question, false) {
        Ok(permit) => return Ok((permit, None)),
        Err(verdict) => verdict,
    };
    if verdict.outcome == Outcome::Ask
        && let Ok(permit) = policies.authorize(&question, true)
        && let Some(grant) = way.stages.granted(caller, model, &policies, permit.policies())
    {
        return Ok((permit, Some(grant)));
    }
    Err(verdict)
}

impl Stages {
    /// An approval of the caller for the model that is good for one of these policies, which still say what they said then.
    pub(super) fn granted(
        &self,
        caller: &Caller,
        model: &Model,
        policies: &Policies,
        permitting: &[String],
    ) -> Option<Grant> {
        let same = |met: &Terms| {
            permitting.contains(&met.policy) && policies.terms(&met.policy).is_some_and(|now| now == met)
        };
        let good = |grant: &Grant| grant.terms.iter().any(same);
        self.approvals.grants(caller, &model.config.name, &model.identity).into_iter().find(good)
    }

    async fn file(
        &self,
        caller: &Caller,
        model: &Model,
        terms: &[Terms],
        reason: Option<&str>,
    ) -> Result<Arc<Request>, Problem> {
        let asking =
            Asking { caller, model: &model.config.name, model_identity: &model.identity, terms, reason };
        Ok(self.approvals.ask(asking).await?)
    }

    /// Files a request as an exchange would: the usual one, a POST to the model's root.
    pub(super) async fn request_approval(
        &self,
        caller: &Caller,
        source: Option<IpAddr>,
        transport: Option<Transport>,
        name: &str,
        reason: Option<&str>,
    ) -> Result<Arc<Request>, Problem> {
        let unknown = || Problem::model_unknown(name, self.nearest(name, caller).as_deref());
        let model = self.model(name).ok_or_else(unknown)?;
        let policies = self.policies.load_full();
        let question = self.usual(caller, source, transport, &model, Action::Invoke);
        self.unsuspended(caller)?;
        let verdict = match self.demand(caller) {
            Some(demand) => demanded(&question, &policies, &demand),
            None => policies.decide(&question, false),
        };
        match verdict.outcome {
            Outcome::Permit => Err(Problem::approval_needless(name)),
            Outcome::Deny => Err(Problem::refused(&verdict, caller.user(), name)),
            Outcome::Ask => {
                if let Some(grant) = self.usable(&model, &policies, &question)
                    && let Some(request) = self.approvals.get(&grant.id).await.map_err(store_failed)?
                {
                    return Ok(request);
                }
                self.file(caller, &model, &verdict.terms, reason).await
            }
        }
    }

    /// The approval that would let the question pass.
    pub(super) fn usable(
        &self,
        model: &Model,
        policies: &Policies,
        question: &Question<'_>,
    ) -> Option<Grant> {
        let caller = question.caller;
        if let Some(demand) = self.demand(caller) {
            return self.permitted_anew(question, model, policies, &demand).ok().and_then(|(_, grant)| grant);
        }
        let approved = policies.decide(question, true);
        (approved.outcome == Outcome::Permit)
            .then(|| self.granted(caller, model, policies, &approved.policies))?
    }

    /// # Errors
    /// When the caller is suspended.
    pub(super) fn unsuspended(&self, caller: &Caller) -> Result<(), Problem> {
        let suspension = self.answers.get().and_then(|held| held.suspension(caller, self.clock.now()));
        suspension.map_or(Ok(()), |held| Err(Problem::suspended(&held)))
    }

    /// The answer to an alarm by which every exchange of the caller's needs a person's yes.
    pub(super) fn demand(&self, caller: &Caller) -> Option<Arc<Held>> {
        self.answers.get().and_then(|held| held.demand(caller, self.clock.now()))
    }

    /// The permit of somebody whose exchanges all need a yes, given after the alarm; approvals from before it do not count.
    fn permitted_anew(
        &self,
        question: &Question<'_>,
        model: &Model,
        policies: &Policies,
        demand: &Held,
    ) -> Result<(Permit, Option<Grant>), Verdict> {
        let verdict = demanded(question, policies, demand);
        if verdict.outcome == Outcome::Ask {
            let grants = self.approvals.grants(question.caller, &model.config.name, &model.identity);
            let good = |grant: &Grant| grant.terms.iter().any(|met| verdict.terms.contains(met));
            if let Some(grant) = grants.into_iter().find(good) {
                let permit = policies.authorize(question, false);
                return Ok((permit.or_else(|_| policies.authorize(question, true))?, Some(grant)));
            }
        }
        Err(verdict)
    }
}

/// What policy says to somebody whose exchanges all need a yes: *ask* where it would permit or ask. The yes is given as each policy that
/// permits wants it, by its approvers and for its time; under a name of its own, so that it is another than the policy's.
fn demanded(question: &Question<'_>, policies: &Policies, demand: &Held) -> Verdict {
    let mut verdict = policies.decide(question, false);
    if verdict.outcome == Outcome::Permit {
        verdict.terms = verdict.policies.iter().filter_map(|id| policies.terms(id)).cloned().collect();
        verdict.outcome = Outcome::Ask;
    }
    if verdict.outcome == Outcome::Ask {
        for terms in &mut verdict.terms {
            terms.policy = format!("{} (unusual {}, {})", terms.policy, demand.rule, demand.id);
        }
        verdict.missing = Some(format!("an approval, because of unusual use ({})", demand.rule));
    }
    verdict
}

fn store_failed(error: crate::gateway::identity::StoreError) -> Problem {
    crate::gateway::approval::ApprovalError::from(error).into()
}
