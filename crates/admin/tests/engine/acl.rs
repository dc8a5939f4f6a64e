use cachebus_admin::{AclFile, AclLedger, ApplyReport, DryRun, Server, diff};
use futures::StreamExt;
use redis::aio::PubSub;

use crate::process::Process;

/// SHA-256 of `secret`.
const HASH: &str = "#2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

/// Every form of line that the bus's own users and its services have.
const USERS: [&str; 10] = [
    "operator on # ~* &* +@all",
    "replication on # -@all +psync +replconf +ping",
    "sentinel on # resetchannels &__sentinel__:hello -@all +multi +exec +slaveof +ping +subscribe +publish +info +config|rewrite \
     +client|setname +client|kill +script|kill",
    "probe on # -@all +ping +info +role",
    "reader on # %R~agent:* %R~agents:all -@all +get +mget +exists +ttl +pttl",
    "writer on # ~session:* %R~task:* %W~log:* -@all +get +set +setex +del +unlink +expire",
    "subscriber on # &task:* %R~events:task:* -@all +subscribe +psubscribe +unsubscribe +lrange +xrange +xread +xlen",
    "consumer on # ~events:* -@all +xreadgroup +xack +xgroup|create +xinfo +xadd",
    "rotated on # #9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 -@all +ping",
    "selected on # ~a -@all +get (~b -@all +set) (%R~c &x -@all +get)",
];

fn file(users: &[&str]) -> AclFile {
    let hash = format!("{HASH} ");
    let lines = users
        .iter()
        .map(|user| format!("user {}\n", user.replace("# ", &hash)));
    let text: String = std::iter::once("user default off resetpass ~* &* +@all\n".to_owned())
        .chain(lines)
        .collect();
    AclFile::parse(&text).unwrap()
}

/// Brings the server to `desired` by a ledger that knows nothing.
async fn apply(server: &Server, desired: &AclFile) -> (ApplyReport, AclLedger) {
    let mut ledger = AclLedger::new();
    let changes = diff(desired, &server.acl().list().await.unwrap(), &ledger);
    let report = server.acl().apply(&changes, &mut ledger).await.unwrap();
    (report, ledger)
}

#[tokio::test]
async fn what_is_applied_is_read_back_as_equal_without_a_ledger() {
    let process = Process::server(&[]);
    let server = process.connect().await;
    let desired = file(&USERS);
    let (report, _) = apply(&server, &desired).await;
    assert!(report.failed.is_empty(), "{report:?}");
    assert_eq!(report.set.len(), USERS.len() + 1);

    let listing = server.acl().list().await.unwrap();
    assert_eq!(diff(&desired, &listing, &AclLedger::new()), []);
    let mut names = server.acl().users().await.unwrap();
    names.sort();
    assert_eq!(names, desired.users().collect::<Vec<_>>());
}

#[tokio::test]
async fn rules_that_engines_rewrite_are_settled_by_the_ledger() {
    let process = Process::server(&[]);
    let server = process.connect().await;
    let desired = file(&[
        "mixed on # ~* -@all +@read -mget +config +config|get",
        "nearly-all on # ~* +@all -@dangerous +info",
    ]);
    let (report, ledger) = apply(&server, &desired).await;
    assert!(report.failed.is_empty(), "{report:?}");
    let listing = server.acl().list().await.unwrap();
    assert_eq!(diff(&desired, &listing, &ledger), []);

    server
        .acl()
        .set_user("mixed", &["on", HASH, "~*", "+@read"])
        .await
        .unwrap();
    let drifted = server.acl().list().await.unwrap();
    let changes = diff(&desired, &drifted, &ledger);
    assert_eq!(format!("{changes:?}"), r#"[Set("mixed")]"#);
}

#[tokio::test]
async fn a_password_counts_at_once_and_a_removed_user_is_thrown_out() {
    let process = Process::server(&[]);
    let operator = process.connect().await;
    let (_, mut ledger) = apply(&operator, &file(&["probe on # -@all +ping +info +role"])).await;
    let probe = process.connect_as("probe", "secret").await;
    probe.ping().await.unwrap();
    let denied = probe.acl().list().await.unwrap_err();
    assert_eq!(denied.code(), Some("NOPERM"));

    let without = file(&[]);
    let listing = operator.acl().list().await.unwrap();
    let changes = diff(&without, &listing, &ledger);
    let report = operator.acl().apply(&changes, &mut ledger).await.unwrap();
    assert_eq!(report.deleted, ["probe"]);
    assert_eq!(probe.ping().await.unwrap_err().reason(), "Disconnected");
    assert!(!operator.acl().del_user("probe").await.unwrap());
}

#[tokio::test]
async fn a_changed_user_keeps_its_subscriptions() {
    let process = Process::server(&[]);
    let operator = process.connect().await;
    let before = file(&["listener on # &task:* -@all +subscribe"]);
    let (_, mut ledger) = apply(&operator, &before).await;

    let stream = tokio::net::TcpStream::connect(("127.0.0.1", process.port))
        .await
        .unwrap();
    let login = redis::RedisConnectionInfo::default()
        .set_username("listener")
        .set_password("secret")
        .set_skip_set_lib_name();
    let mut listener = PubSub::new(&login, stream).await.unwrap();
    listener.subscribe("task:created").await.unwrap();

    let after = file(&["listener on # &task:* &ws:* %R~events:* -@all +subscribe +xrange"]);
    let changes = diff(&after, &operator.acl().list().await.unwrap(), &ledger);
    assert_eq!(changes.len(), 1);
    operator.acl().apply(&changes, &mut ledger).await.unwrap();

    let url = format!("redis://127.0.0.1:{}", process.port);
    operator
        .acl()
        .set_user("default", &["on", "nopass", "&*", "+publish"])
        .await
        .unwrap();
    let client = redis::Client::open(url).unwrap();
    let mut publisher = client.get_multiplexed_async_connection().await.unwrap();
    let heard: u64 = redis::cmd("PUBLISH")
        .arg(&["task:created", "1"])
        .query_async(&mut publisher)
        .await
        .unwrap();
    assert_eq!(heard, 1);
    let message = listener.on_message().next().await.unwrap();
    assert_eq!(message.get_channel_name(), "task:created");
}

#[tokio::test]
async fn a_user_this_engine_refuses_does_not_hold_up_the_others() {
    let process = Process::server(&[]);
    let server = process.connect().await;
    let desired = file(&["a on # +client|nosuch", "b on # +get"]);
    let (report, ledger) = apply(&server, &desired).await;
    assert_eq!(report.set, ["b", "default"]);
    let (user, error) = &report.failed[0];
    assert_eq!((user.as_str(), error.reason()), ("a", "CommandRefused"));
    assert!(error.to_string().contains("+client|nosuch"), "{error}");
    let listing = server.acl().list().await.unwrap();
    let changes = diff(&desired, &listing, &ledger);
    assert_eq!(format!("{changes:?}"), r#"[Set("a")]"#);
}

#[tokio::test]
async fn an_error_repeats_no_password() {
    let process = Process::server(&[]);
    let server = process.connect().await;
    for rule in ["#hunter2", "<hunter2"] {
        let error = server.acl().set_user("a", &["on", rule]).await.unwrap_err();
        assert_eq!(error.reason(), "CommandRefused");
        let shown = format!("{error} {error:?}");
        assert!(
            !shown.contains("hunter2") && shown.contains("[redacted]"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn a_dry_run_tells_what_a_user_may() {
    let process = Process::server(&[]);
    let server = process.connect().await;
    apply(&server, &file(&["reader on # %R~agent:* -@all +get +set"])).await;
    let acl = server.acl();
    assert_eq!(
        acl.dry_run("reader", &["GET", "agent:1"]).await.unwrap(),
        DryRun::Allowed
    );
    for denied in [["GET", "task:1"], ["TTL", "agent:1"]] {
        let answer = acl.dry_run("reader", &denied).await.unwrap();
        assert!(
            matches!(answer, DryRun::Denied(_)),
            "{denied:?}: {answer:?}"
        );
    }
    assert!(acl.dry_run("nobody", &["GET", "agent:1"]).await.is_err());
}
