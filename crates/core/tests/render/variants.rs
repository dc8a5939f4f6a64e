//! What each setting changes in the objects, and that it changes nothing else.

use crate::changes::between;
use crate::fixture::{
    SERVICES, Sets, bus, objects, readable, rendered, rendered_asleep, rendered_with,
};
use cachebus_core::bus::Bus;
use cachebus_core::names::Component;
use cachebus_core::observed::{ClaimTemplate, SetView};
use cachebus_core::render::Routes;
use serde_json::json;

fn changes(spec: &str) -> Vec<String> {
    let shown = |bus: &Bus| {
        objects(&rendered(bus))
            .into_iter()
            // It repeats the spec, whatever that says.
            .filter(|(field, _)| field != "last_valid")
            .map(|(field, object)| (field, readable(bus, &object)))
            .collect()
    };
    let default = bus(SERVICES);
    let variant = bus(&format!("{SERVICES}\n{spec}"));
    between(&shown(&default), &shown(&variant))
}

#[test]
fn tls_optional_adds_ports_for_plain_text() {
    insta::assert_yaml_snapshot!(changes("tls: {mode: Optional}"));
}

#[test]
fn tls_disabled_takes_tls_away() {
    insta::assert_yaml_snapshot!(changes("tls: {mode: Disabled}"));
}

#[test]
fn five_sentinels() {
    insta::assert_yaml_snapshot!(changes("sentinel: {replicas: 5}"));
}

#[test]
fn other_ports() {
    insta::assert_yaml_snapshot!(changes("port: 7000\nsentinel: {port: 27000}"));
}

#[test]
fn valkey() {
    insta::assert_yaml_snapshot!(changes("engine: {kind: Valkey, version: '9.1'}"));
}

#[test]
fn an_image_of_ones_own() {
    insta::assert_yaml_snapshot!(changes(
        "engine: {image: registry.example.com/redis:1, imagePullPolicy: Always, imagePullSecrets: [registry]}"
    ));
}

#[test]
fn placement_labels_and_priority() {
    insta::assert_yaml_snapshot!(changes(
        "
pods:
  labels: {team: data, cachebus.dev/bus: other, app.kubernetes.io/component: other}
  annotations: {note: text, cachebus.dev/note: other}
  nodeSelector: {disk: ssd}
  tolerations: [{key: dedicated, operator: Exists}]
  priorityClassName: high
  spread: Required
"
    ));
}

#[test]
fn storage_and_other_namespaces() {
    insta::assert_yaml_snapshot!(changes(
        "
storage: {size: 20Gi, storageClassName: fast, reclaim: Delete}
access: {namespaces: {matchLabels: {team: apps}}}
"
    ));
}

#[test]
fn metrics_for_one_namespace() {
    insta::assert_yaml_snapshot!(changes(
        "access: {metrics: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}"
    ));
}

#[test]
fn live_settings_change_no_pod() {
    let changes = changes(
        "
memory: {policy: noeviction}
connections: {timeout: 0s, maxClients: 500}
persistence: {aof: disabled, rdb: []}
replication: {minReplicasToWrite: 0, backlogSize: 1Mi}
config: {hz: '50', client-output-buffer-limit: replica 1gb 512mb 30}
",
    );
    assert!(
        changes.iter().all(|change| change.starts_with("config ")),
        "{changes:?}"
    );
    insta::assert_yaml_snapshot!(changes);
}

#[test]
fn what_the_spec_says_of_resources_wins() {
    let resources = |spec: &str| {
        let objects = objects(&rendered(&bus(spec)));
        let container = |field: &str| {
            objects[field]["spec"]["template"]["spec"]["containers"][0]["resources"].clone()
        };
        (container("redis"), container("sentinel"))
    };
    let cases = [
        "memory: {max: 100Mi}",
        "resources: {limits: {memory: 4Gi}}",
        "resources: {requests: {memory: 1Gi}}",
        "resources: {requests: {memory: 9Gi}}",
        "resources: {requests: {cpu: '2', memory: 4Gi}, limits: {cpu: '4', memory: 8Gi}}",
        "resources: {limits: {cpu: '0.05'}}",
        "sentinel: {resources: {limits: {cpu: 20m, memory: 32Mi}}}",
    ];
    let shown: Vec<_> = cases.iter().map(|case| (case, resources(case))).collect();
    insta::assert_yaml_snapshot!(shown);
}

#[test]
fn a_data_pod_has_time_to_save_all_that_its_memory_may_hold() {
    let grace = |spec: &str| {
        let objects = objects(&rendered(&bus(spec)));
        let seconds = |field: &str| {
            let pod = &objects[field]["spec"]["template"]["spec"];
            pod["terminationGracePeriodSeconds"].as_u64().unwrap()
        };
        (seconds("redis"), seconds("sentinel"))
    };
    assert_eq!(grace("memory: {max: 100Mi}"), (73, 10));
    assert_eq!(
        grace("memory: {max: 10Gi}\nstorage: {size: 40Gi}"),
        (377, 10)
    );
    let limited = "resources: {limits: {memory: 15Gi}}";
    assert_eq!(grace(limited), (377, 10), "by the limit alone");
}

#[test]
fn an_existing_claim_template_stays() {
    let bus = bus("storage: {size: 20Gi, storageClassName: fast}");
    let set = SetView {
        claim: ClaimTemplate {
            size: "8Gi".to_owned(),
            class: Some("slow".to_owned()),
        },
        ..SetView::default()
    };
    let sets = [(Component::Redis, set)].into();
    let objects = objects(&rendered_with(&bus, &Routes::default(), &sets));
    let template = |field: &str| {
        let spec = &objects[field]["spec"]["volumeClaimTemplates"][0]["spec"];
        let size = spec["resources"]["requests"]["storage"].clone();
        (size, spec["storageClassName"].clone())
    };
    assert_eq!(template("redis"), (json!("8Gi"), json!("slow")));
    assert_eq!(template("sentinel"), (json!("1Gi"), json!("fast")));
}

#[test]
fn what_sleeps_keeps_everything_but_its_pods() {
    let bus = bus("{}");
    let (routes, sets) = (Routes::default(), Sets::new());
    let pods = |asleep: &[Component]| {
        let asleep = asleep.iter().copied().collect();
        let mut objects = objects(&rendered_asleep(&bus, &routes, &sets, &asleep));
        let pods = ["redis", "sentinel"].map(|field| {
            let pods = &mut objects.get_mut(field).unwrap()["spec"]["replicas"];
            std::mem::take(pods).as_u64().unwrap()
        });
        (pods, objects)
    };
    let (awake, all) = pods(&[]);
    assert_eq!(awake, [3, 3]);
    assert_eq!(pods(&[Component::Sentinel]), ([3, 0], all.clone()));
    let both = [Component::Redis, Component::Sentinel];
    assert_eq!(pods(&both), ([0, 0], all));
}
