//! A replica whose server cannot read its files, on a whole bus.

use crate::bus::Bus;
use crate::pod::{Pod, data, until_is};
use crate::running::Running;
use crate::writers::Writers;
use cachebus_core::names::Component;
use std::fs;
use std::path::{Path, PathBuf};

/// Files of an append-only file that end in this way.
fn parts(aof: &Path, end: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(aof).unwrap().map(|file| file.unwrap().path());
    let parts = files.filter(|file| file.to_string_lossy().ends_with(end));
    parts.collect()
}

fn spoil_tail(aof: &Path) {
    for file in parts(aof, ".incr.aof") {
        let mut text = fs::read(&file).unwrap();
        text.extend(b"spoilt");
        fs::write(file, text).unwrap();
    }
}

fn spoil_snapshot(aof: &Path) {
    for file in parts(aof, ".base.rdb") {
        let mut text = fs::read(&file).unwrap();
        text[24..44].copy_from_slice(b"spoilt-spoilt-spoilt");
        fs::write(file, text).unwrap();
    }
}

async fn heals(bus: &Bus, spoil: fn(&Path)) {
    let mut running = Running::start(bus).await;
    let writers = Writers::start(&running.access, "k", 1).await;
    writers.finish(0).await;
    let primary = running.access.node(0).await.unwrap();
    let keys = primary.info().await.unwrap().keys_total();
    assert!(keys > 0);

    running.nodes[2].take().unwrap().stop().await;
    let volume = bus.data_dir_of(Component::Redis, 2);
    spoil(&volume.join("appendonlydir"));
    running.nodes[2] = Some(Pod::start_nth(bus, Component::Redis, 2));
    running.in_sync(&[2], "b-redis-0").await;
    let pod = running.nodes[2].as_ref().unwrap();
    let status = pod.status_with(|status| data(status).set_aside).await;
    assert!(status.crashes > 0);
    assert!(volume.join("spoilt/appendonlydir").is_dir());
    let replica = running.access.node(2).await.unwrap();
    until_is(keys, || async {
        replica.info().await.unwrap().keys_total()
    })
    .await;

    fs::remove_dir_all(volume.join("spoilt")).unwrap();
    pod.status_with(|status| !data(status).set_aside).await;
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_with_a_spoilt_tail_begins_anew_beside_its_primary() {
    heals(&Bus::whole(5), spoil_tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_with_a_spoilt_snapshot_begins_anew_beside_its_primary() {
    heals(&Bus::whole(6), spoil_snapshot).await;
}
