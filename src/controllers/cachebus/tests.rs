//! Passes over a bus on an API server in memory.

#![allow(clippy::unwrap_used)]

use super::Next;
use crate::testing::{Pods, World, manifest, platform};
use cachebus_core::bus::Platform;
use serde_json::{Value, json};

fn position(requests: &[String], what: &str) -> usize {
    requests
        .iter()
        .position(|request| request == what)
        .unwrap_or_else(|| panic!("no `{what}` in {requests:#?}"))
}

fn data(world: &World, secret: &str) -> Value {
    world.api.get("secrets", secret).unwrap()["data"].clone()
}

#[tokio::test]
async fn a_fresh_bus_gets_its_passwords_before_anything_that_needs_them() {
    let mut world = World::with_bus();
    world.see();
    assert_eq!(world.pass().await.unwrap(), Next::Soon);
    let mut writes = world.api.writes();
    writes.retain(|write| !write.contains("endpointslices"));
    let first_of_others = writes
        .iter()
        .position(|write| write != "POST secrets")
        .unwrap();
    assert_eq!(first_of_others, 8, "all Secrets come first: {writes:#?}");
    assert!(
        position(&writes, "PATCH configmaps/b-config")
            < position(&writes, "PATCH statefulsets/b-redis")
    );
    assert_eq!(writes.last().unwrap(), "PUT cachebuses/b/status");
    let credentials = data(&world, "b-credentials");
    assert_eq!(
        credentials["operator"],
        data(&world, "b-redis-auth")["operator"]
    );
    assert_eq!(
        credentials["dashboard"],
        data(&world, "b-binding-dashboard")["password"]
    );
}

#[tokio::test]
async fn a_second_pass_over_an_unchanged_world_sends_nothing() {
    let mut world = World::with_bus();
    world.see();
    world.pass().await.unwrap();
    world.api.requests();
    world.see();
    world.pass().await.unwrap();
    assert_eq!(world.api.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn stores_that_lag_behind_cause_no_second_password_and_no_second_write() {
    let mut world = World::with_bus();
    world.see();
    world.pass().await.unwrap();
    let credentials = data(&world, "b-credentials");
    world.api.requests();
    assert_eq!(world.pass().await.unwrap(), Next::Again);
    assert_eq!(
        world.api.requests(),
        ["POST secrets", "GET secrets/b-credentials"]
    );
    assert_eq!(data(&world, "b-credentials"), credentials);
}

#[tokio::test]
async fn an_operator_that_starts_anew_keeps_every_password_and_certificate() {
    let mut world = World::with_bus();
    world.settle().await;
    let secrets = world.api.all("secrets");
    let mut successor = World::on(world.api.clone());
    successor.settle().await;
    assert_eq!(successor.api.all("secrets"), secrets);
}

#[tokio::test]
async fn any_secret_that_is_deleted_or_edited_comes_back_as_it_was() {
    let mut world = World::with_bus();
    world.settle().await;
    for secret in [
        "b-credentials",
        "b-redis-auth",
        "b-sentinel-auth",
        "b-acl",
        "b-binding-dashboard",
        "b-ca",
    ] {
        let before = data(&world, secret);
        world.api.remove("secrets", secret);
        world.settle().await;
        assert_eq!(data(&world, secret), before, "{secret} deleted");
        world.api.change("secrets", secret, |secret| {
            for value in secret["data"].as_object_mut().unwrap().values_mut() {
                *value = json!("bm9uc2Vuc2U=");
            }
            secret["data"]["more"] = json!("bW9yZQ==");
        });
        world.settle().await;
        assert_eq!(data(&world, secret), before, "{secret} edited");
    }
}

#[tokio::test]
async fn a_certificate_that_is_lost_comes_back_from_the_authority_that_clients_hold() {
    let mut world = World::with_bus();
    world.settle().await;
    let authority = data(&world, "b-ca")["tls.crt"].clone();
    for secret in ["b-tls", "b-operator-tls"] {
        world.api.remove("secrets", secret);
        world.settle().await;
        assert_eq!(data(&world, secret)["ca.crt"], authority, "{secret}");
    }
    // As a Secret of somebody else's certificates would have it.
    world.api.change("secrets", "b-tls", |secret| {
        secret["data"]["ca.crt"] = json!("bm9uc2Vuc2U=");
    });
    let serving = data(&world, "b-tls")["tls.crt"].clone();
    world.settle().await;
    assert_eq!(data(&world, "b-tls")["ca.crt"], authority);
    assert_eq!(data(&world, "b-tls")["tls.crt"], serving);
}

#[tokio::test]
async fn an_authority_that_is_lost_is_said_and_replaced_only_at_a_persons_wish() {
    let mut world = World::with_bus();
    world.settle().await;
    let (serving, binding) = (data(&world, "b-tls"), data(&world, "b-binding-dashboard"));
    let password = data(&world, "b-credentials")["dashboard"].clone();
    world.api.remove("secrets", "b-ca");
    world.api.remove("secrets", "b-credentials");
    world.settle().await;
    assert_eq!(world.condition("TLSReady")["reason"], "AuthorityLost");
    assert_eq!(world.api.get("secrets", "b-ca"), None);
    assert_eq!(data(&world, "b-tls"), serving);
    assert_eq!(data(&world, "b-binding-dashboard"), binding);
    assert_eq!(data(&world, "b-credentials")["dashboard"], password);

    world.api.remove("secrets", "b-tls");
    world.settle().await;
    assert_ne!(world.condition("TLSReady")["reason"], "AuthorityLost");
    let authority = data(&world, "b-ca")["tls.crt"].clone();
    assert_ne!(authority, serving["ca.crt"]);
    for secret in ["b-tls", "b-operator-tls", "b-binding-dashboard"] {
        assert_eq!(data(&world, secret)["ca.crt"], authority, "{secret}");
    }
}

#[tokio::test]
async fn a_bus_whose_agents_cannot_be_spoken_to_is_left_as_it_is() {
    let mut world = World::with_bus();
    world.settle().await;
    for secret in ["b-ca", "b-credentials", "b-operator-tls"] {
        world.api.remove("secrets", secret);
    }
    world.see();
    assert_eq!(world.pass().await.unwrap(), Next::Later);
    let writes = world.api.writes();
    assert_eq!(writes[0], "PUT cachebuses/b/status");
    assert!(writes[1..].iter().all(|write| write.contains("events")));
    for condition in ["TLSReady", "Ready"] {
        assert_eq!(world.condition(condition)["reason"], "AuthorityLost");
    }
}

#[tokio::test]
async fn a_secret_that_has_lost_its_labels_gets_them_back() {
    let mut world = World::with_bus();
    world.settle().await;
    let before = world.api.get("secrets", "b-credentials").unwrap();
    world.api.change("secrets", "b-credentials", |secret| {
        secret["metadata"]["labels"] = json!({});
    });
    world.settle().await;
    let after = world.api.get("secrets", "b-credentials").unwrap();
    assert_eq!(after["metadata"]["labels"], before["metadata"]["labels"]);
    assert_eq!(after["data"], before["data"]);
}

#[tokio::test]
async fn what_somebody_deletes_or_changes_is_brought_back() {
    let mut world = World::with_bus();
    world.settle().await;
    let before = world.api.get("services", "b-primary").unwrap();
    world.api.remove("services", "b-primary");
    world.settle().await;
    assert_eq!(
        world.api.get("services", "b-primary").unwrap()["spec"],
        before["spec"]
    );
    world.api.change("statefulsets", "b-redis", |set| {
        set["spec"]["replicas"] = json!(7);
    });
    world.settle().await;
    assert_eq!(
        world.api.get("statefulsets", "b-redis").unwrap()["spec"]["replicas"],
        3
    );
}

#[tokio::test]
async fn the_secret_of_a_service_that_is_gone_goes_too() {
    let mut world = World::with_bus();
    world.settle().await;
    world
        .api
        .change("cachebuses", "b", |bus| bus["spec"]["services"] = json!([]));
    world.settle().await;
    assert_eq!(world.api.get("secrets", "b-binding-dashboard"), None);
    assert_eq!(data(&world, "b-credentials")["dashboard"], Value::Null);
}

#[tokio::test]
async fn what_belongs_to_somebody_else_is_never_written() {
    let mut world = World::with_bus();
    let foreign = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "b-primary", "namespace": "data"}, "spec": {"ports": []}});
    world
        .api
        .put("/api/v1/namespaces/data/services/b-primary", foreign);
    let before = world.api.get("services", "b-primary");
    world.settle().await;
    assert_eq!(world.api.get("services", "b-primary"), before);
    let told = world.api.get("cachebuses", "b").unwrap()["status"].to_string();
    assert!(
        told.contains("NameConflict") && told.contains("b-primary"),
        "{told}"
    );
}

#[tokio::test]
async fn nothing_is_built_on_a_credentials_secret_of_somebody_else() {
    let mut world = World::with_bus();
    let foreign = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b-credentials", "namespace": "data"}, "data": {}});
    world
        .api
        .put("/api/v1/namespaces/data/secrets/b-credentials", foreign);
    world.see();
    world.pass().await.unwrap();
    assert_eq!(world.api.all("secrets").len(), 1);
    assert_eq!(world.api.all("statefulsets").len(), 0);
    assert_eq!(world.condition("Ready")["reason"], "NameConflict");
}

#[tokio::test]
async fn a_status_that_changed_meanwhile_ends_the_pass() {
    let mut world = World::with_bus();
    world.see();
    world.api.change("cachebuses", "b", |bus| {
        bus["metadata"]["labels"] = json!({"a": "b"});
    });
    assert_eq!(world.pass().await.unwrap(), Next::Again);
    assert_eq!(
        world.api.get("cachebuses", "b").unwrap()["status"],
        Value::Null
    );
}

#[tokio::test]
async fn a_bus_that_is_being_deleted_is_left_alone() {
    let mut world = World::with_bus();
    world.api.change("cachebuses", "b", |bus| {
        bus["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    });
    world.see();
    assert_eq!(world.pass().await.unwrap(), Next::OnChange);
    assert_eq!(world.api.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn a_spec_that_cannot_be_carried_out_is_said_and_builds_nothing() {
    let mut world = World::with_bus();
    world.api.change("cachebuses", "b", |bus| {
        bus["spec"]["config"] = json!({"bind": "0.0.0.0"});
    });
    world.see();
    assert_eq!(world.pass().await.unwrap(), Next::OnChange);
    assert_eq!(world.condition("Valid")["status"], "False");
    assert_eq!(world.api.all("secrets").len(), 0);
}

#[tokio::test]
async fn an_object_that_cannot_be_read_is_said_on_it_once() {
    let mut world = World::with_bus();
    let mut object = manifest("b");
    object["spec"]["replicas"] = json!("two");
    world.api.put(
        "/apis/cachebus.dev/v1alpha1/namespaces/data/cachebuses/b",
        object,
    );
    world.see();
    assert_eq!(world.pass().await.unwrap(), Next::OnChange);
    assert_eq!(
        world.api.writes(),
        ["PATCH cachebuses/b/status", "POST events"]
    );
    assert_eq!(world.condition("Valid")["reason"], "Undecodable");
    world.see();
    world.pass().await.unwrap();
    assert_eq!(world.api.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn an_object_that_the_api_server_refuses_is_named_and_the_others_go_on() {
    let mut world = World::with_bus();
    world.api.refuse("poddisruptionbudgets");
    world.see();
    assert_eq!(world.pass().await.unwrap(), Next::Soon);
    assert_eq!(world.api.all("statefulsets").len(), 2);
    let condition = world.condition("RolloutComplete");
    assert_eq!(condition["reason"], "Rejected");
    assert!(
        condition["message"]
            .as_str()
            .unwrap()
            .contains("PodDisruptionBudget b-redis")
    );
}

#[tokio::test]
async fn an_api_server_that_fails_fails_the_pass_and_what_can_be_sent_is_sent() {
    let mut world = World::with_bus();
    world.api.fail("services");
    world.see();
    assert_eq!(world.pass().await.unwrap_err().reason(), "ApiError");
    assert_eq!(world.api.all("statefulsets").len(), 2);
    world.api.recover();
    world.settle().await;
    assert_eq!(world.api.all("services").len(), 5);
}

#[tokio::test]
async fn an_object_of_somebody_else_keeps_no_other_from_its_place() {
    let mut world = World::with_bus();
    let foreign = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": [],
        "metadata": {"name": "b-primary", "namespace": "data"},
    });
    let path = "/apis/discovery.k8s.io/v1/namespaces/data/endpointslices/b-primary";
    world.api.put(path, foreign);
    world.settle().await;
    assert_eq!(world.condition("RolloutComplete")["reason"], "NameConflict");
    assert_eq!(world.api.all("secrets").len(), 8);
    assert_eq!(world.api.all("statefulsets").len(), 2);
}

#[tokio::test]
async fn a_bus_comes_to_life_and_every_intent_is_on_record_before_it_is_carried_out() {
    let mut world = World::with_bus();
    world.settle().await;
    let pods = Pods::start(&world, 1).await;
    world.rest().await;
    let ready = world.condition("Ready");
    assert_eq!(ready["status"], "True", "{ready}");
    let leads = pods.leads();
    assert_eq!(leads.len(), 1, "one pod is told to lead, once: {leads:?}");
    let (pod, recorded) = &leads[0];
    assert_eq!(recorded["target"]["pod"], **pod);
    let slice = world.api.get("endpointslices", "b-primary").unwrap();
    assert_eq!(slice["endpoints"][0]["targetRef"]["name"], **pod);
    let label = |name| {
        world.api.get("pods", name).unwrap()["metadata"]["labels"]["cachebus.dev/role"].clone()
    };
    assert_eq!(
        (label("b-redis-0"), label("b-redis-1")),
        (json!("primary"), json!("replica"))
    );

    world.see();
    world.api.requests();
    assert_eq!(world.pass().await.unwrap(), Next::Later);
    assert_eq!(
        world.api.requests(),
        Vec::<String>::new(),
        "at rest nothing is asked or written"
    );
}

#[tokio::test]
async fn an_intent_that_was_withdrawn_meanwhile_is_not_carried_out() {
    let mut world = World::with_bus();
    world.settle().await;
    let pods = Pods::start(&world, 2).await;
    let target = |world: &World| {
        world.api.get("cachebuses", "b").unwrap()["status"]["topology"]["target"].clone()
    };
    while target(&world).is_null() {
        world.see();
        world.pass().await.unwrap();
    }
    world.see();
    world.api.change("cachebuses", "b", |bus| {
        bus["status"]["topology"] = json!({"primary": "b-redis-1", "epoch": 9});
    });
    assert_eq!(world.pass().await.unwrap(), Next::Again);
    assert_eq!(pods.leads(), []);
}

/// What an operator that has just started makes of a bus that came to life, whose spec is then changed, and whose Sentinels
/// switch.
async fn followed(net: u8, platform: Platform, change: impl FnOnce(&mut Value)) -> World {
    let mut world = World::with_bus();
    world.settle().await;
    let pods = Pods::start(&world, net).await;
    world.rest().await;
    let routed = |world: &World| {
        world.api.get("endpointslices", "b-primary").unwrap()["endpoints"][0]["targetRef"]["name"]
            .clone()
    };
    let before = routed(&world);
    let others = |world: &World| -> Vec<Value> {
        let kinds = ["statefulsets", "configmaps", "secrets"].into_iter();
        kinds.flat_map(|kind| world.api.all(kind)).collect()
    };
    let as_they_were = others(&world);
    world.api.change("cachebuses", "b", change);

    let after = if before == "b-redis-1" {
        "b-redis-2"
    } else {
        "b-redis-1"
    };
    pods.fail_over(after);
    let mut successor = World::told(world.api.clone(), platform);
    successor.rest().await;
    assert_eq!(routed(&successor), after);
    for (now, before) in others(&successor).iter().zip(&as_they_were) {
        assert_eq!(now, before, "pods, settings and users stay as they were");
    }

    successor.see();
    successor.api.requests();
    assert_eq!(successor.pass().await.unwrap(), Next::Later);
    assert_eq!(successor.api.writes(), Vec::<String>::new());
    assert_eq!(successor.condition("Available")["status"], "True");
    assert_eq!(successor.condition("Ready")["status"], "False");
    successor
}

#[tokio::test]
async fn a_failover_is_followed_while_the_spec_is_invalid_from_before_the_operator_started() {
    let world = followed(3, platform(), |bus| {
        bus["spec"]["config"] = json!({"bind": "0.0.0.0"});
        bus["spec"]["replicas"] = json!(1);
    })
    .await;
    assert_eq!(world.condition("Valid")["reason"], "DirectiveRefused");
}

#[tokio::test]
async fn a_failover_is_followed_while_the_object_cannot_be_read() {
    let world = followed(4, platform(), |bus| {
        bus["spec"]["replicas"] = json!("two");
    })
    .await;
    let valid = world.condition("Valid");
    assert_eq!(valid["reason"], "Undecodable");
    let message = valid["message"].as_str().unwrap();
    assert!(
        message.starts_with("spec: cannot be read: ") && message.contains("two"),
        "{message}"
    );
}

#[tokio::test]
async fn a_failover_is_followed_by_an_operator_that_has_no_image_for_the_engine_any_more() {
    let upgraded = Platform {
        engine_images: [].into(),
        ..platform()
    };
    let world = followed(5, upgraded, |_| {}).await;
    assert_eq!(world.condition("Valid")["reason"], "ImageUnknown");
}

#[tokio::test]
async fn a_bus_is_not_looked_after_by_the_spec_of_an_earlier_one_of_its_name() {
    let mut world = World::with_bus();
    world.settle().await;
    world.api.change("cachebuses", "b", |bus| {
        bus["metadata"]["uid"] = json!("another");
        bus["spec"]["config"] = json!({"bind": "0.0.0.0"});
        bus["status"] = Value::Null;
    });
    world.see();
    assert_eq!(world.pass().await.unwrap(), Next::OnChange);
    assert_eq!(world.api.writes()[0], "PUT cachebuses/b/status");
    assert_eq!(world.condition("Ready")["reason"], "Invalid");
}
