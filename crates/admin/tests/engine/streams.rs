use std::time::Duration;

use cachebus_admin::{ConsumerGroup, Server};

use crate::process::Process;

const LIBRARY: &str = include_str!("../../../../functions/cachebus.lua");
const DAY: Duration = Duration::from_hours(24);
const KEYS: (&str, &str) = ("events:task:done:stream", "events:task:done:lost");

/// Has a client send a command.
async fn send(process: &Process, command: &[&str]) {
    let url = format!("redis://127.0.0.1:{}", process.port);
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut sent = redis::Cmd::new();
    sent.arg(command);
    let _: redis::Value = sent.query_async(&mut connection).await.unwrap();
}

/// A server with the library, and a stream of as many entries, all of them old.
async fn server(process: &Process, entries: usize) -> Server {
    let server = process.connect().await;
    server.functions().load(LIBRARY).await.unwrap();
    for number in 1..=entries {
        let id = format!("{number}-0");
        send(process, &["XADD", KEYS.0, &id, "event_id", "e"]).await;
    }
    server
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_empty_and_takes_no_group() {
    let process = Process::server(&[]);
    let server = server(&process, 0).await;
    let stream = server.stream(KEYS.0, KEYS.1);
    let backlog = stream.backlog(DAY).await.unwrap();
    assert!(!backlog.exists && !backlog.due && backlog.groups.is_empty());
    assert_eq!(backlog.length, 0);
    let trimmed = stream.trim(DAY).await.unwrap();
    assert_eq!((trimmed.dropped, trimmed.length), (0, 0));
    assert_eq!(
        stream.create_group("a").await.unwrap_err().code(),
        Some("ERR")
    );
    assert_eq!(server.info().await.unwrap().keys_total(), 0);
}

#[tokio::test]
async fn groups_are_made_at_the_beginning_told_of_and_removed_and_hold_back_what_they_have_not_read()
 {
    let process = Process::server(&[]);
    let server = server(&process, 3).await;
    let stream = server.stream(KEYS.0, KEYS.1);
    assert!(stream.create_group("a").await.unwrap());
    assert!(!stream.create_group("a").await.unwrap());
    let read = ["XREADGROUP", "GROUP", "a", "c", "COUNT", "1", "STREAMS"];
    send(&process, &[&read[..], &[KEYS.0, ">"]].concat()).await;
    send(&process, &["HSET", KEYS.1, "a", "5"]).await;

    let backlog = stream.backlog(DAY).await.unwrap();
    assert!(backlog.exists && !backlog.due);
    assert_eq!(backlog.length, 3);
    let [
        ConsumerGroup {
            name,
            pending: 1,
            lag: Some(2),
            age,
            lost: 5,
        },
    ] = &backlog.groups[..]
    else {
        panic!("{backlog:?}");
    };
    assert_eq!(name, "a");
    assert!(*age > DAY, "{age:?}");
    assert_eq!(stream.trim(DAY).await.unwrap().dropped, 0);

    assert!(stream.remove_group("a").await.unwrap());
    assert!(!stream.remove_group("a").await.unwrap());
    assert!(stream.backlog(DAY).await.unwrap().due);
    let trimmed = stream.trim(DAY).await.unwrap();
    assert_eq!((trimmed.dropped, trimmed.length), (3, 0));
    assert!(trimmed.groups.is_empty());
    assert!(!stream.backlog(DAY).await.unwrap().due);
}
