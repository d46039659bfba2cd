//! Refresh tokens: rotation, replays, races, logout.

use std::{sync::atomic::Ordering, time::Duration};

use axum::http::StatusCode;

use super::world::{Browser, SESSION, World};
use crate::{gateway::identity::Happening, wire::api::CLIENT_ID};

#[tokio::test]
async fn a_refresh_token_is_replaced_at_each_use() {
    let world = World::dev().await;
    let first = world.dev_login("alice").await.refresh_token.unwrap();
    let second = world.refresh(&first).await.tokens();
    assert_ne!(second.refresh_token.as_deref(), Some(first.as_str()));
    let third = world.refresh(&second.refresh_token.unwrap()).await.tokens();
    assert!(world.identities.bearer(&third.access_token).await.is_ok());
    assert!(matches!(world.happenings().last(), Some(Happening::Renewal(who)) if who.subject == "alice"));
}

#[tokio::test]
async fn a_replayed_token_of_any_age_ends_the_session() {
    for age in 1..4 {
        let world = World::dev().await;
        let first = world.dev_login("alice").await;
        let mut newest = first.refresh_token.clone().unwrap();
        for _ in 0..age {
            newest = world.refresh(&newest).await.tokens().refresh_token.unwrap();
        }
        assert!(world.identities.bearer(&first.access_token).await.is_ok(), "believed, and so remembered");
        assert_eq!(world.refresh(&first.refresh_token.unwrap()).await.error(), "invalid_grant");
        assert_eq!(world.refresh(&newest).await.error(), "invalid_grant", "generation {age}");
        assert!(world.identities.bearer(&first.access_token).await.is_err());
        assert!(matches!(world.happenings().last(), Some(Happening::Revocation { .. })));
    }
}

#[tokio::test]
async fn two_uses_at_once_never_give_two_sessions() {
    let world = World::dev().await;
    let token = world.dev_login("alice").await.refresh_token.unwrap();
    let (one, two) = tokio::join!(world.refresh(&token), world.refresh(&token));
    let good = [&one, &two].iter().filter(|answer| answer.status == StatusCode::OK).count();
    assert_eq!(good, 1);
    assert!(world.store.rows()[0].revoked, "one of the two was a thief");
}

#[tokio::test]
async fn invented_tokens_end_nobodys_session() {
    let world = World::dev().await;
    let tokens = world.dev_login("alice").await;
    let session = world.store.rows()[0].id.clone();
    for invented in ["x", "", &session, &format!("{session}.AAAA"), &format!("{session}.{}", "A".repeat(43))]
    {
        assert!(world.refresh(invented).await.status.is_client_error());
    }
    assert!(world.identities.bearer(&tokens.access_token).await.is_ok());
}

#[tokio::test]
async fn a_session_ends_however_often_it_was_refreshed() {
    let world = World::dev().await;
    let mut tokens = world.dev_login("alice").await;
    world.hand.advance(SESSION - Duration::from_secs(100));
    tokens = world.refresh(&tokens.refresh_token.unwrap()).await.tokens();
    assert_eq!(tokens.expires_in, 100, "no token outlives its session");
    world.hand.advance(Duration::from_secs(100));
    assert!(world.identities.bearer(&tokens.access_token).await.is_err());
    assert_eq!(world.refresh(&tokens.refresh_token.unwrap()).await.error(), "invalid_grant");
}

#[tokio::test]
async fn logging_out_ends_the_session_by_either_token() {
    for by_refresh in [true, false] {
        let world = World::dev().await;
        let tokens = world.dev_login("alice").await;
        let refresh = tokens.refresh_token.unwrap();
        let token = if by_refresh { &refresh } else { &tokens.access_token };
        let form = [("client_id", CLIENT_ID), ("token", token.as_str())];
        let answer = world.post(&mut Browser::new(), "/oauth2/revoke", &form).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(world.identities.bearer(&tokens.access_token).await.is_err());
        assert_eq!(world.refresh(&refresh).await.error(), "invalid_grant");
        let again = world.post(&mut Browser::new(), "/oauth2/revoke", &form).await;
        assert_eq!(again.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_token_of_one_model_logs_nobody_out() {
    let world = World::dev().await;
    let tokens = world.dev_login("alice").await;
    let session = world.store.rows()[0].id.clone();
    let bound = world.identities.token_of(&session, Some("llama")).await;
    let form = [("client_id", CLIENT_ID), ("token", bound.as_str())];
    let answer = world.post(&mut Browser::new(), "/oauth2/revoke", &form).await;
    assert_eq!(answer.error(), "unsupported_token_type");
    assert!(world.identities.bearer(&tokens.access_token).await.is_ok());
}

#[tokio::test]
async fn a_renewal_goes_on_when_nobody_waits_any_more() {
    let (world, idp) = World::company().await;
    world.company_login(&idp).await;
    let session = world.store.rows()[0].id.clone();
    let before = idp.lock().token_reads;
    let sessions = &world.identities.sessions;
    tokio::select! {
        biased;
        _ = sessions.renew(&session) => panic!("the provider was not asked"),
        () = std::future::ready(()) => {}
    }
    // Waits for its turn, and so for the first.
    sessions.renew(&session).await.unwrap();
    assert_eq!(idp.lock().token_reads, before + 2);
}

#[tokio::test]
async fn unknown_tokens_are_already_revoked() {
    let world = World::dev().await;
    let form = [("client_id", CLIENT_ID), ("token", "unknown")];
    assert_eq!(world.post(&mut Browser::new(), "/oauth2/revoke", &form).await.status, StatusCode::OK);
    let nobody = [("token", "unknown")];
    assert_eq!(world.post(&mut Browser::new(), "/oauth2/revoke", &nobody).await.error(), "invalid_client");
}

#[tokio::test]
async fn a_failing_database_is_a_fault_and_tells_nothing() {
    let world = World::dev().await;
    let tokens = world.dev_login("alice").await;
    world.store.broken.store(true, Ordering::SeqCst);
    let answer = world.refresh(tokens.refresh_token.as_deref().unwrap()).await;
    assert_eq!(answer.error(), "server_error");
    assert!(!answer.body.contains("disk"), "{}", answer.body);
    assert!(world.identities.bearer(&tokens.access_token).await.is_err());
    world.store.broken.store(false, Ordering::SeqCst);
    world.refresh(&tokens.refresh_token.unwrap()).await.tokens();
}
