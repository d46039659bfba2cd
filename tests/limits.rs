//! Limits as a caller meets them, before and after a restart of the gateway.

use crate::world::{Model, World, text};

#[test]
fn tokens_of_a_day_are_used_up_also_after_a_restart() {
    let model = Model::start();
    let mut world = World::new();
    let rest = format!(
        "ca = \"{}\"\nlimits = {{ per_caller = {{ tokens_per_day = 10 }} }}",
        model.ca_file(world.dir.path()).display()
    );
    world.model("m", &model.url(), &rest);
    world.start();
    let laptop = world.logged_in("ana", &["ml"]);
    let ask = || laptop.run(&["call", "m", "/v1/chat/completions", "--data", r#"{"model":"gpt-mini"}"#]);
    let first = ask();
    assert!(first.status.success(), "{}", text(&first.stderr));

    let refused = |when: &str| {
        let answer = ask();
        assert_eq!(answer.status.code(), Some(1), "{when}");
        let said = text(&answer.stdout) + &text(&answer.stderr);
        assert!(said.contains("10 tokens a day") && said.contains("you on `m`"), "{when}: {said}");
    };
    refused("at once");
    let events = laptop.exchanges();
    assert_eq!(events[0]["request"]["requested_model"], "gpt-mini");
    assert_eq!(events[0]["response"]["tokens"], serde_json::json!({"input": 4, "output": 6, "total": 10}));
    assert_eq!(events[1]["response"]["outcome"], "refused");

    world.stop();
    world.start();
    refused("after a restart");
    assert_eq!(model.requests(), 1);
}
