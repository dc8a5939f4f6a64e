//! Filling a keyspace from a stream.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cachebus::{Encoding, Entry, ErrorKind, Warmed, Warming};
use futures::stream::{self, StreamExt as _};

use crate::bus::{ask, client, client_by, contract, server};

fn told(warmed: Warmed) -> (u64, u64, u64) {
    (warmed.stored, warmed.present, warmed.invalid)
}

#[tokio::test]
async fn a_stream_is_stored_and_tells_how_far_it_is() {
    let process = server(&[]).await;
    let mut admin = process.admin().await;
    let bus = client(&process);
    let agents = bus.cache().keyspace::<u64>("agent").unwrap();
    agents.set(7, &0).await.unwrap();
    let rows = || stream::iter((0..2200_u64).map(|row| Ok::<_, Infallible>((row, row))));
    let mut steps = Vec::new();
    let warmed = agents.warm(rows(), Warming::default(), |so_far| steps.push(so_far));
    assert_eq!(told(warmed.await.unwrap()), (2199, 1, 0));
    assert_eq!(steps.len(), 5);
    assert!(steps.is_sorted_by_key(|so_far| so_far.stored + so_far.present));
    assert_eq!(agents.get(7).await.unwrap(), Some(0));
    assert_eq!(agents.get(2199).await.unwrap(), Some(2199));

    let entries = rows().map(|row| row.map(|row| Entry::from(row).ttl(Duration::from_mins(1))));
    let warmed = agents.warm(entries, Warming::default().replacing(), drop);
    assert_eq!(told(warmed.await.unwrap()), (2200, 0, 0));
    assert_eq!(agents.get(7).await.unwrap(), Some(7));
    let life = ask(&mut admin, &["PTTL", "agent:7"]).await;
    let life: u64 = redis::from_redis_value(life).unwrap();
    assert!((1..=60_000).contains(&life), "{life}");
}

#[tokio::test]
async fn a_stream_is_asked_for_no_more_than_is_on_its_way() {
    let process = server(&[]).await;
    let bus = client(&process);
    let agents = bus.cache().keyspace::<u64>("agent").unwrap();
    let read = AtomicU64::new(0);
    let rows = stream::iter(0..10_000_u64).map(|row| {
        read.fetch_add(1, Ordering::Relaxed);
        Ok::<_, Infallible>((row, row))
    });
    let warmed = agents.warm(rows, Warming::default().at_once(2), |so_far| {
        let ahead = read.load(Ordering::Relaxed) - so_far.stored;
        assert!(ahead <= 3 * 500, "{ahead}");
    });
    assert_eq!(told(warmed.await.unwrap()), (10_000, 0, 0));
}

#[tokio::test]
async fn what_is_no_value_is_left_out_and_what_fails_ends_it() {
    let process = server(&[]).await;
    let bus = client(&process);
    let agents = bus.cache().keyspace::<String>("agent").unwrap();
    let small = agents.clone().encoding(Encoding::json().max_bytes(10));
    let entries = [("a", "a"), ("b", "much too long"), ("c:c", "c"), ("d", "d")];
    let entries = entries.map(|(part, value)| Ok::<_, Infallible>((part, value.to_owned())));
    let warmed = small.warm(stream::iter(entries), Warming::default(), drop);
    assert_eq!(told(warmed.await.unwrap()), (2, 0, 2));

    let broken = stream::iter((0..1500_u64).map(|row| {
        if row == 1200 {
            return Err(std::io::Error::other("the database is gone"));
        }
        Ok((row, row.to_string()))
    }));
    let warmed = agents.warm(broken, Warming::default().at_once(1), drop);
    let error = warmed.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LoadFailed);

    let metrics = bus.cache().keyspace::<u64>("metrics").unwrap();
    let entries = [Ok::<_, Infallible>((
        [("service", "api"), ("name", "p99")],
        1,
    ))];
    let warmed = metrics.warm(stream::iter(entries), Warming::default(), drop);
    assert_eq!(warmed.await.unwrap_err().kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn a_cache_that_is_off_asks_for_nothing() {
    let process = server(&[]).await;
    let mut contract = contract();
    contract["cache"]["enabled"] = false.into();
    let bus = client_by(&process, &contract);
    let agents = bus.cache().keyspace::<u64>("agent").unwrap();
    let rows = stream::poll_fn(
        |_| -> std::task::Poll<Option<Result<(u64, u64), Infallible>>> { panic!("it is asked") },
    );
    let warmed = agents.warm(rows, Warming::default(), drop);
    assert_eq!(warmed.await.unwrap(), Warmed::default());
}
