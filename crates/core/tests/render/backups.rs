//! The pods that make and restore backups.

use crate::fixture::{bus, platform};
use cachebus_api::backup::{Destination, Encryption, Retention};
use cachebus_core::backup::{BackupTask, PruneTask, RestoreTask, Task, VerifyTask};
use cachebus_core::render::{Place, backup_pod, restore_claim, restore_pod};
use serde_json::Value;

fn s3() -> Destination {
    let text = r#"{"s3": {"endpoint": "https://s3.example.com", "bucket": "backups", "credentialsSecret": "keys", "caSecret": "ca"}}"#;
    serde_json::from_str(text).unwrap()
}

fn volume() -> Destination {
    serde_json::from_str(r#"{"volume": {"claimName": "backups"}}"#).unwrap()
}

fn tasks(destination: &Destination) -> Vec<Task> {
    let bus = bus("{}");
    vec![
        Task::Backup(Box::new(BackupTask {
            bus: "platform".to_owned(),
            namespace: "data".to_owned(),
            uid: bus.uid,
            backup: "nightly".to_owned(),
            scheduled: false,
            destination: destination.clone(),
            encrypted: true,
            sources: Vec::new(),
            port: 6379,
            tls: true,
        })),
        Task::Verify(VerifyTask {
            destination: destination.clone(),
            path: "data/platform/nightly".to_owned(),
            engine: bus.spec.engine.kind,
        }),
    ]
}

fn age() -> Encryption {
    Encryption {
        secret_name: "age".to_owned(),
    }
}

#[test]
fn the_pod_of_a_verified_encrypted_backup_is_as_it_was_agreed() {
    let (destination, encryption) = (s3(), age());
    let place = Place {
        destination: &destination,
        encryption: Some(&encryption),
    };
    let pod = backup_pod(
        &bus("{}"),
        &platform(),
        ("nightly", "uid"),
        place,
        &tasks(&destination),
    );
    insta::assert_yaml_snapshot!("backup_pod", pod);
}

#[test]
fn the_pod_of_a_plain_backup_to_a_volume_runs_one_container() {
    let destination = volume();
    let place = Place {
        destination: &destination,
        encryption: None,
    };
    let first = &tasks(&destination)[..1];
    let pod = backup_pod(&bus("{}"), &platform(), ("nightly", "uid"), place, first);
    let pod: Value = serde_json::to_value(pod).unwrap();
    assert_eq!(pod["spec"]["initContainers"], Value::Null);
    assert_eq!(pod["spec"]["containers"].as_array().unwrap().len(), 1);
}

#[test]
fn what_deletes_older_backups_comes_last_and_may_write_to_the_volume() {
    let destination = volume();
    let place = Place {
        destination: &destination,
        encryption: None,
    };
    let mut all = tasks(&destination);
    all.push(Task::Prune(PruneTask {
        bus: "platform".to_owned(),
        namespace: "data".to_owned(),
        uid: bus("{}").uid,
        destination: destination.clone(),
        retention: Retention {
            count: Some(1),
            age: None,
        },
    }));
    let pod = backup_pod(&bus("{}"), &platform(), ("nightly", "uid"), place, &all);
    let pod: Value = serde_json::to_value(pod).unwrap();
    let [last] = &pod["spec"]["containers"].as_array().unwrap()[..] else {
        panic!("{pod}");
    };
    assert_eq!(last["name"], "prune");
    let mounts = last["volumeMounts"].as_array().unwrap();
    let volume = mounts.iter().find(|mount| mount["mountPath"] == "/backup");
    assert_ne!(volume.unwrap()["readOnly"], true, "{mounts:?}");
    assert_eq!(pod["spec"]["initContainers"].as_array().unwrap().len(), 3);
}

#[test]
fn what_restores_is_as_it_was_agreed() {
    let (destination, bus) = (volume(), bus("{}"));
    let place = Place {
        destination: &destination,
        encryption: None,
    };
    let task = Task::Restore(RestoreTask {
        destination: destination.clone(),
        path: "data/old/nightly".to_owned(),
        uid: bus.uid.clone(),
        pod: "platform-redis-0".to_owned(),
    });
    insta::assert_yaml_snapshot!("restore_pod", restore_pod(&bus, &platform(), place, &task));
    insta::assert_yaml_snapshot!("restore_claim", restore_claim(&bus));
}
