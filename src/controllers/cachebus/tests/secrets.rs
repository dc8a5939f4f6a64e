//! Secrets that are lost or edited.

use super::data;
use crate::controllers::cachebus::Next;
use crate::testing::World;
use serde_json::{Value, json};

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
