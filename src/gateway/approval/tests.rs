//! The rules, with races.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;

use super::{
    ApprovalError, Approvals, Asking, Change, Config, Decider, Decision, Kind, MAX_PENDING_OWN, Request,
    State, doubles::Memory,
};
use crate::{
    clock::{Clock, Hand},
    gateway::{
        identity::Caller,
        policy::{ModelFacts, Policies, Terms},
    },
};

const START: SystemTime = UNIX_EPOCH;
const HOUR: Duration = Duration::from_hours(1);

const POLICIES: &str = r#"
@id("leads") permit(principal in Group::"leads", action == Action::"approve", resource);
@id("strict") @approvers("risk") @approvals_needed("3")
permit(principal, action == Action::"invoke", resource) when { context.approved };
@id("barred") forbid(principal in Group::"barred", action == Action::"approve", resource);
"#;

struct World {
    approvals: Approvals,
    store: Arc<Memory>,
    hand: Hand,
    clock: Clock,
    told: Arc<std::sync::Mutex<Vec<Kind>>>,
}

impl World {
    async fn new() -> Self {
        let (clock, hand) = Clock::manual(START + HOUR);
        Self::on(Arc::new(Memory::default()), clock, hand).await
    }

    async fn on(store: Arc<Memory>, clock: Clock, hand: Hand) -> Self {
        let facts = ModelFacts {
            name: "m".into(),
            dialect: "http".into(),
            tls: "required".into(),
            labels: BTreeMap::new(),
        };
        let policies = Policies::parse(&[(PathBuf::from("p.cedar"), POLICIES.into())], &[facts]).unwrap();
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let witness = Arc::clone(&told);
        let approvals = Approvals::open(
            Config { lapse: HOUR, public_url: "https://gateway.example.test".parse().unwrap() },
            Arc::<Memory>::clone(&store),
            Arc::new(ArcSwap::from_pointee(policies)),
            clock.clone(),
            Arc::new(move |change: &Change| witness.lock().unwrap().push(change.kind)),
        )
        .await
        .unwrap();
        approvals.models_are([("m".to_owned(), "one".to_owned())].into());
        Self { approvals, store, hand, clock, told }
    }

    async fn ask(&self, who: &Caller, terms: &[Terms]) -> Result<Arc<Request>, ApprovalError> {
        let asking = Asking { caller: who, model: "m", model_identity: "one", terms, reason: Some("why") };
        self.approvals.ask(asking).await
    }

    async fn approve(&self, id: &str, who: &Caller) -> Result<Arc<Request>, ApprovalError> {
        self.approvals.approve(id, Decider::from(who), None, None).await
    }
}

fn who(subject: &str, groups: &[&str]) -> Caller {
    Caller {
        subject: subject.into(),
        email: Some(format!("{subject}@example.test")),
        name: None,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        provider: "corp".into(),
        workload: false,
        session: format!("ses_{subject}"),
    }
}

fn terms(approvers: &[&str], needed: u32) -> Vec<Terms> {
    let approvers = approvers.iter().map(|group| (*group).to_owned()).collect();
    vec![Terms { policy: "jit".into(), digest: String::new(), approvers, lasts: HOUR, needed }]
}

#[tokio::test]
async fn a_hundred_requests_make_one_approval() {
    let world = World::new().await;
    let (alice, terms) = (who("alice", &[]), terms(&["risk"], 1));
    let asked = futures_util::future::join_all((0..100).map(|_| world.ask(&alice, &terms))).await;
    let first = asked[0].as_ref().unwrap().id.clone();
    assert!(asked.iter().all(|request| request.as_ref().unwrap().id == first));
    assert_eq!(*world.told.lock().unwrap(), [Kind::Requested]);
}

#[tokio::test]
async fn what_was_asked_under_another_policy_of_the_same_name_cannot_be_given() {
    let world = World::new().await;
    // As it was filed before the policy asked for three yeses.
    let before = Terms { policy: "strict".into(), ..terms(&["risk"], 1).remove(0) };
    let request = world.ask(&who("alice", &[]), &[before]).await.unwrap();
    let refused = world.approve(&request.id, &who("bob", &["risk"])).await;
    assert!(matches!(refused, Err(ApprovalError::NotApprover { .. })), "{refused:?}");
}

#[tokio::test]
async fn nobody_approves_themselves_and_workloads_and_strangers_do_not_either() {
    let world = World::new().await;
    let request = world.ask(&who("alice", &["risk"]), &terms(&["risk"], 1)).await.unwrap();
    let elsewhere = Caller {
        provider: "partners".into(),
        email: Some("ALICE@example.test".into()),
        ..who("a2", &["risk"])
    };
    for own in [who("alice", &["risk"]), Caller { email: None, ..who("alice", &["risk"]) }, elsewhere] {
        let refused = world.approve(&request.id, &own).await;
        assert!(matches!(refused, Err(ApprovalError::Own)), "{own:?} {refused:?}");
        let refused = world.approvals.deny(&request.id, Decider::from(&own), None).await;
        assert!(matches!(refused, Err(ApprovalError::Own)));
    }
    let robot = Caller { workload: true, ..who("robot", &["risk"]) };
    assert!(matches!(world.approve(&request.id, &robot).await, Err(ApprovalError::Workload)));
    // `leads` may approve where the terms name nobody; here they name risk.
    for stranger in [who("carol", &["leads"]), who("dave", &["risk", "barred"])] {
        let refused = world.approve(&request.id, &stranger).await;
        assert!(matches!(refused, Err(ApprovalError::NotApprover { .. })), "{stranger:?}");
    }
    let unknown = world.approve("apr_x", &who("bob", &["risk"])).await;
    assert!(matches!(unknown, Err(ApprovalError::Unknown)));
    world.approve(&request.id, &who("bob", &["risk"])).await.unwrap();
}

#[tokio::test]
async fn terms_without_approvers_are_for_whom_policy_permits_to_approve() {
    let world = World::new().await;
    let request = world.ask(&who("alice", &[]), &terms(&[], 1)).await.unwrap();
    let refused = world.approve(&request.id, &who("bob", &["risk"])).await;
    assert!(matches!(refused, Err(ApprovalError::NotApprover { .. })));
    world.approve(&request.id, &who("carol", &["leads"])).await.unwrap();
}

#[tokio::test]
async fn it_takes_as_many_distinct_people_as_the_terms_say() {
    let world = World::new().await;
    let alice = who("alice", &[]);
    let request = world.ask(&alice, &terms(&["risk"], 2)).await.unwrap();
    let bob = who("bob", &["risk"]);
    world.approve(&request.id, &bob).await.unwrap();
    let bob_elsewhere = Caller { subject: "b2".into(), provider: "partners".into(), ..bob.clone() };
    for again in [bob, bob_elsewhere] {
        assert!(matches!(world.approve(&request.id, &again).await, Err(ApprovalError::SaidYes)));
    }
    assert!(world.approvals.grant(&alice, "m", "one").is_none());
    world.approve(&request.id, &who("carol", &["risk"])).await.unwrap();
    assert_eq!(world.approvals.grant(&alice, "m", "one").unwrap().terms[0].policy, "jit");
    use Kind::{Approved, Granted, Requested};
    assert_eq!(*world.told.lock().unwrap(), [Requested, Approved, Approved, Granted]);
}

#[tokio::test]
async fn of_two_clicks_at_once_one_wins_and_the_other_is_told() {
    let world = World::new().await;
    let request = world.ask(&who("alice", &[]), &terms(&["risk"], 1)).await.unwrap();
    let (bob, carol) = (who("bob", &["risk"]), who("carol", &["risk"]));
    let (yes, also) = tokio::join!(world.approve(&request.id, &bob), world.approve(&request.id, &carol));
    let both = [yes, also];
    assert_eq!(both.iter().filter(|answer| answer.is_ok()).count(), 1, "{both:?}");
    assert!(both.iter().any(|answer| matches!(answer, Err(ApprovalError::Decided("approved")))));
    // Two yeses of two at once are both counted.
    let request = world.ask(&who("erin", &[]), &terms(&["risk"], 2)).await.unwrap();
    let (yes, also) = tokio::join!(world.approve(&request.id, &bob), world.approve(&request.id, &carol));
    assert!(yes.is_ok() && also.is_ok());
    let request = world.approvals.get(&request.id).await.unwrap().unwrap();
    assert!(matches!(request.state, State::Approved { .. }));
}

#[tokio::test]
async fn a_decision_before_the_first_look_is_not_missed() {
    let world = World::new().await;
    let request = world.ask(&who("alice", &[]), &terms(&["risk"], 1)).await.unwrap();
    let watched = world.approvals.decision(&request.id);
    world.approve(&request.id, &who("bob", &["risk"])).await.unwrap();
    assert_eq!(watched.await, Decision::Approved { until: START + HOUR * 2 });
    // Nor when the request has left memory before anybody watched.
    world.approvals.deny(&request.id, Decider::from(&who("bob", &["risk"])), Some("no")).await.unwrap();
    let denied = Decision::Denied { by: "bob@example.test".into(), comment: Some("no".into()) };
    assert_eq!(world.approvals.decision(&request.id).await, denied);
    assert_eq!(world.approvals.decision("apr_x").await, Decision::Unknown);
    let request = world.ask(&who("alice", &[]), &terms(&["risk"], 1)).await.unwrap();
    let watched = world.approvals.decision(&request.id);
    world.approvals.close();
    assert_eq!(watched.await, Decision::Closing);
}

#[tokio::test(start_paused = true)]
async fn an_approval_ends_on_its_second_and_the_shortest_word_holds() {
    let world = World::new().await;
    let (alice, bob) = (who("alice", &[]), who("bob", &["risk"]));
    let request = world.ask(&alice, &terms(&["risk"], 1)).await.unwrap();
    let minute = Duration::from_mins(1);
    let short = world.approvals.approve(&request.id, Decider::from(&bob), Some(minute / 2), None).await;
    assert!(matches!(short, Err(ApprovalError::TooShort(_))));
    world.hand.advance(Duration::from_millis(700));
    world.approvals.approve(&request.id, Decider::from(&bob), Some(minute), None).await.unwrap();
    let grant = world.approvals.grant(&alice, "m", "one").unwrap();
    assert_eq!(grant.until, START + HOUR + minute);
    world.hand.advance(Duration::from_millis(59_299));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!grant.ended().is_cancelled() && world.approvals.grant(&alice, "m", "one").is_some());
    world.hand.advance(Duration::from_millis(1));
    assert!(world.approvals.grant(&alice, "m", "one").is_none());
    grant.ended().cancelled().await;
    // Streams end first; it is written down behind them.
    while world.told.lock().unwrap().last() != Some(&Kind::Ended) {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.approvals.get(&request.id).await.unwrap().unwrap().word(world.clock.now()), "expired");
}

#[tokio::test]
async fn a_no_takes_an_approval_back_at_once() {
    let world = World::new().await;
    let (alice, bob) = (who("alice", &[]), who("bob", &["risk"]));
    let request = world.ask(&alice, &terms(&["risk"], 1)).await.unwrap();
    world.approve(&request.id, &bob).await.unwrap();
    let grant = world.approvals.grant(&alice, "m", "one").unwrap();
    world.approvals.deny(&request.id, Decider::from(&bob), None).await.unwrap();
    assert!(grant.ended().is_cancelled() && world.approvals.grant(&alice, "m", "one").is_none());
    let again = world.approvals.deny(&request.id, Decider::from(&bob), None).await;
    assert!(matches!(again, Err(ApprovalError::Decided("denied"))));
}

#[tokio::test(start_paused = true)]
async fn nobody_in_time_is_a_no_also_when_the_database_fails() {
    for broken in [false, true] {
        let world = World::new().await;
        let request = world.ask(&who("alice", &[]), &terms(&["risk"], 1)).await.unwrap();
        let watched = world.approvals.decision(&request.id);
        world.store.broken.store(broken, Ordering::SeqCst);
        world.hand.advance(HOUR);
        assert_eq!(watched.await, Decision::Expired);
        let late = world.approve(&request.id, &who("bob", &["risk"])).await;
        assert!(matches!(late, Err(ApprovalError::Decided("expired"))), "{late:?}");
    }
}

#[tokio::test]
async fn an_approval_is_for_the_model_it_was_asked_for() {
    let world = World::new().await;
    let (alice, bob) = (who("alice", &[]), who("bob", &["risk"]));
    let given = world.ask(&alice, &terms(&["risk"], 1)).await.unwrap();
    world.approve(&given.id, &bob).await.unwrap();
    let waits = world.ask(&who("erin", &[]), &terms(&["risk"], 1)).await.unwrap();
    let watched = world.approvals.decision(&waits.id);
    world.approvals.models_are([("m".to_owned(), "two".to_owned())].into());
    let refused = world.approve(&waits.id, &bob).await;
    assert!(matches!(refused, Err(ApprovalError::ModelChanged | ApprovalError::Decided("expired"))));
    assert_eq!(watched.await, Decision::Expired);
    assert!(world.approvals.grant(&alice, "m", "two").is_none());
}

#[tokio::test]
async fn a_restart_forgets_nothing() {
    let world = World::new().await;
    let (alice, bob) = (who("alice", &[]), who("bob", &["risk"]));
    let given = world.ask(&alice, &terms(&["risk"], 1)).await.unwrap();
    world.approve(&given.id, &bob).await.unwrap();
    let waits = world.ask(&who("erin", &[]), &terms(&["risk"], 1)).await.unwrap();
    let World { store, clock, hand, approvals, .. } = world;
    drop(approvals);
    let world = World::on(store, clock, hand).await;
    assert!(world.approvals.grant(&alice, "m", "one").is_some());
    assert_eq!(world.ask(&who("erin", &[]), &terms(&["risk"], 1)).await.unwrap().id, waits.id);
}

#[tokio::test]
async fn what_waits_is_bounded_and_so_is_what_is_said() {
    let world = World::new().await;
    let alice = who("alice", &[]);
    for n in 0..MAX_PENDING_OWN {
        world.ask(&alice, &terms(&[&format!("g{n}")], 1)).await.unwrap();
    }
    let more = world.ask(&alice, &terms(&["more"], 1)).await;
    assert!(matches!(more, Err(ApprovalError::TooManyOwn(MAX_PENDING_OWN))));
    let request = world.ask(&who("erin", &[]), &terms(&["risk"], 1)).await.unwrap();
    let bob = who("bob", &["risk"]);
    for wrong in ["x".repeat(1001), "two\nlines".to_owned()] {
        let refused = world.approvals.deny(&request.id, Decider::from(&bob), Some(&wrong)).await;
        assert!(matches!(refused, Err(ApprovalError::Text(_))));
    }
}
