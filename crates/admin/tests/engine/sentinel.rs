use std::time::Duration;

use cachebus_admin::{Credentials, Endpoint, Sentinel, SentinelEvent, SentinelEvents};

use crate::{process::Process, wait::until};

const MASTER: &str = "bus-1f0c";

/// Sentinels that monitor `primary` and know each other.
struct Watch {
    processes: Vec<Process>,
}

impl Watch {
    async fn over(primary: &Process) -> Self {
        let processes: Vec<_> = (0..2).map(|_| Process::sentinel("")).collect();
        for process in &processes {
            let sentinel = process.connect_sentinel().await;
            sentinel
                .monitor(MASTER, &primary.address(), 2)
                .await
                .unwrap();
            sentinel
                .set(
                    MASTER,
                    &[
                        ("down-after-milliseconds", "3000"),
                        ("failover-timeout", "20000"),
                    ],
                )
                .await
                .unwrap();
        }
        let watch = Self { processes };
        for process in &watch.processes {
            let sentinel = process.connect_sentinel().await;
            until("the Sentinels know each other", async || {
                (sentinel.master(MASTER).await.unwrap().num_other_sentinels == 1).then_some(())
            })
            .await;
        }
        watch
    }
}

#[tokio::test]
async fn a_sentinel_is_told_what_to_monitor() {
    let primary = Process::server(&[]);
    let process = Process::sentinel("");
    let sentinel = process.connect_sentinel().await;
    sentinel.ping().await.unwrap();
    assert_eq!(sentinel.my_id().await.unwrap().len(), 40);
    assert_eq!(sentinel.masters().await.unwrap(), []);
    assert_eq!(sentinel.primary_address(MASTER).await.unwrap(), None);
    assert_eq!(
        sentinel.master(MASTER).await.unwrap_err().reason(),
        "CommandRefused"
    );

    sentinel
        .monitor(MASTER, &primary.address(), 2)
        .await
        .unwrap();
    assert!(
        sentinel
            .monitor(MASTER, &primary.address(), 2)
            .await
            .is_err()
    );
    sentinel
        .set(
            MASTER,
            &[
                ("down-after-milliseconds", "2500"),
                ("auth-pass", "hunter2"),
            ],
        )
        .await
        .unwrap();
    let refused = sentinel
        .set(MASTER, &[("auth-pass", "hunter2"), ("no-such-option", "1")])
        .await
        .unwrap_err();
    assert!(!format!("{refused} {refused:?}").contains("hunter2"));

    let masters = sentinel.masters().await.unwrap();
    assert_eq!((masters.len(), masters[0].name.as_str()), (1, MASTER));
    assert_eq!(masters[0].down_after, Duration::from_millis(2500));
    assert_eq!((masters[0].quorum, masters[0].config_epoch), (2, 0));
    assert_eq!(
        sentinel.primary_address(MASTER).await.unwrap(),
        Some(primary.address())
    );
    let info = sentinel.info().await.unwrap();
    assert_eq!(info["sentinel_masters"], "1");

    let alone = sentinel.outlook(MASTER).await.unwrap();
    assert_eq!((alone.primary, alone.herald), (primary.address(), None));
    sentinel.flush_config().await.unwrap();
    let config = std::fs::read_to_string(process.directory.join("sentinel.conf")).unwrap();
    assert!(config.contains(MASTER));

    sentinel.remove(MASTER).await.unwrap();
    assert_eq!(sentinel.masters().await.unwrap(), []);
}

#[tokio::test]
async fn sentinels_that_are_introduced_know_each_other_at_once() {
    let primary = Process::server(&[]);
    let (process, other) = (Process::sentinel(""), Process::sentinel(""));
    let (sentinel, peer) = (
        process.connect_sentinel().await,
        other.connect_sentinel().await,
    );
    sentinel
        .monitor(MASTER, &primary.address(), 2)
        .await
        .unwrap();
    let run_id = peer.my_id().await.unwrap();
    sentinel
        .meet(MASTER, &primary.address(), &other.address(), &run_id)
        .await
        .unwrap();
    let known = sentinel.sentinels(MASTER).await.unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!(
        (&known[0].address, &known[0].run_id),
        (&other.address(), &run_id)
    );
    let master = sentinel.master(MASTER).await.unwrap();
    assert_eq!(
        (master.address, master.config_epoch),
        (primary.address(), 0)
    );
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_refused() {
    let process = Process::sentinel("sentinel resolve-hostnames yes");
    let sentinel = process.connect_sentinel().await;
    let nowhere = cachebus_admin::Address::new("no-such-host.invalid", 6379);
    let refused = sentinel.monitor(MASTER, &nowhere, 2).await.unwrap_err();
    assert_eq!(refused.reason(), "CommandRefused");
}

#[tokio::test]
async fn an_announced_primary_is_taken_over_and_published() {
    let (old, new) = (Process::server(&[]), Process::server(&[]));
    let replica = new.connect().await;
    replica.replica_of(&old.address()).await.unwrap();
    let watch = Watch::over(&old).await;
    let first = watch.processes[0].connect_sentinel().await;
    let peer = &first.sentinels(MASTER).await.unwrap()[0];
    assert_eq!(peer.address, watch.processes[1].address());
    let known = until("the replica is listed as linked", async || {
        let replicas = first.replicas(MASTER).await.unwrap();
        replicas.into_iter().find(|replica| replica.link_up)
    })
    .await;
    assert_eq!(
        (known.address, known.primary),
        (new.address(), Some(old.address()))
    );

    let mut events = SentinelEvents::subscribe(first.endpoint(), None)
        .await
        .unwrap();
    replica.promote().await.unwrap();
    old.connect()
        .await
        .replica_of(&new.address())
        .await
        .unwrap();
    let epoch = first.outlook(MASTER).await.unwrap().highest_epoch + 1;
    for process in &watch.processes {
        let sentinel: Sentinel = process.connect_sentinel().await;
        let herald = sentinel.outlook(MASTER).await.unwrap().herald.unwrap();
        sentinel
            .announce(MASTER, &new.address(), epoch, &herald)
            .await
            .unwrap();
        let outlook = sentinel.outlook(MASTER).await.unwrap();
        assert_eq!(
            (outlook.primary, outlook.config_epoch, outlook.failing_over),
            (new.address(), epoch, false)
        );

        sentinel
            .announce(MASTER, &old.address(), epoch, &herald)
            .await
            .unwrap();
        let unmoved = sentinel.primary_address(MASTER).await.unwrap();
        assert_eq!(unmoved, Some(new.address()));
    }
    let switched = SentinelEvent::SwitchMaster {
        master: MASTER.to_owned(),
        from: old.address(),
        to: new.address(),
    };
    tokio::time::timeout(Duration::from_secs(5), async {
        while events.next().await.unwrap() != switched {}
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn events_end_when_the_sentinel_stops_answering() {
    let process = Process::sentinel("");
    let endpoint = process.endpoint().with_deadline(Duration::from_millis(200));
    let mut events = SentinelEvents::subscribe(&endpoint, None).await.unwrap();
    let silence = tokio::time::timeout(Duration::from_secs(1), events.next()).await;
    assert!(silence.is_err(), "a healthy Sentinel's silence is no end");

    process.freeze();
    let ended = tokio::time::timeout(Duration::from_secs(5), events.next()).await;
    assert_eq!(ended.unwrap(), None);
}

#[tokio::test]
async fn a_sentinel_knows_users_too() {
    let process = Process::sentinel("user operator on >secret &* +@all\nuser default off");
    let login = Credentials::new("operator", "secret");
    let anonymous = Sentinel::connect(&process.endpoint(), None).await;
    assert_eq!(anonymous.unwrap_err().code(), Some("NOAUTH"));
    let sentinel = Sentinel::connect(&process.endpoint(), Some(&login))
        .await
        .unwrap();
    let mut users = sentinel.acl().users().await.unwrap();
    users.sort();
    assert_eq!(users, ["default", "operator"]);
    SentinelEvents::subscribe(&process.endpoint(), Some(&login))
        .await
        .unwrap();

    let limited = ["on", "nopass", "resetchannels", "+subscribe"];
    sentinel.acl().set_user("limited", &limited).await.unwrap();
    let endpoint: Endpoint = process.endpoint();
    let denied = SentinelEvents::subscribe(&endpoint, Some(&Credentials::new("limited", "any")))
        .await
        .unwrap_err();
    assert_eq!(denied.code(), Some("NOPERM"));
}
