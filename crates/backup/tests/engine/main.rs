//! A backup of a real server, proven and restored. `CACHEBUS_TEST_SERVER` is the path of a `redis-server` or `valkey-server`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../folders/mod.rs"]
mod folders;

use age::secrecy::ExposeSecret as _;
use cachebus_api::backup::Destination;
use cachebus_api::engine::EngineKind;
use cachebus_backup::{Layout, carry_out};
use cachebus_core::backup::{BackupTask, Report, RestoreTask, Source, Task, VerifyTask};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Keys without an end, keys that expire in an hour, and keys that have expired when they are counted.
const KEYS: (u32, u32, u32) = (2_000, 300, 7);

struct Engine {
    child: Child,
    port: u16,
}

impl Engine {
    fn start(port: u16, folder: &Path) -> Self {
        let child = Command::new(program())
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--repl-diskless-sync-delay", "0", "--dir"])
            .arg(folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let engine = Self { child, port };
        let began = Instant::now();
        while engine
            .connect()
            .is_none_or(|mut wire| wire.ask("PING") != "+PONG")
        {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "it does not answer"
            );
            std::thread::yield_now();
        }
        engine
    }

    fn connect(&self) -> Option<Wire> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        Some(Wire(BufReader::new(stream)))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Wire(BufReader<TcpStream>);

impl Wire {
    /// Sends a command as people type it. The first line of the answer, or the text.
    fn ask(&mut self, command: &str) -> String {
        let stream = self.0.get_mut();
        stream
            .write_all(format!("{command}\r\n").as_bytes())
            .unwrap();
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let line = line.trim_end().to_owned();
        match line
            .strip_prefix('$')
            .and_then(|length| length.parse::<usize>().ok())
        {
            Some(length) => {
                let mut text = vec![0; length + 2];
                self.0.read_exact(&mut text).unwrap();
                String::from_utf8_lossy(&text[..length]).into_owned()
            }
            None => line,
        }
    }
}

fn program() -> PathBuf {
    std::env::var_os("CACHEBUS_TEST_SERVER")
        .expect("CACHEBUS_TEST_SERVER is not set")
        .into()
}

fn kind() -> EngineKind {
    if program().ends_with("valkey-server") {
        EngineKind::Valkey
    } else {
        EngineKind::Redis
    }
}

fn fill(engine: &Engine) {
    let mut wire = engine.connect().unwrap();
    assert_eq!(
        wire.ask("ACL SETUSER replication on >secret -@all +psync +replconf +ping"),
        "+OK"
    );
    for number in 0..KEYS.0 {
        wire.ask(&format!("SET plain:{number} value-{number}"));
    }
    for number in 0..KEYS.1 {
        wire.ask(&format!("SET ttl:{number} value PX {}", 3_600_000 + number));
    }
    // They stay in memory although they expire at once.
    wire.ask("DEBUG SET-ACTIVE-EXPIRE 0");
    for number in 0..KEYS.2 {
        wire.ask(&format!("SET gone:{number} value PX 1"));
    }
}

fn layout(root: &Path) -> Layout {
    let layout = folders::below(root);
    fs::write(layout.auth_dir.join("replication"), "secret").unwrap();
    let secret = age::x25519::Identity::generate().to_string();
    fs::write(layout.age_dir.join("identity"), secret.expose_secret()).unwrap();
    layout
}

#[tokio::test]
async fn a_backup_of_a_real_server_is_loaded_and_restored_with_all_keys_and_ttls() {
    let root = tempfile::tempdir().unwrap();
    let layout = layout(root.path());
    let source = Engine::start(16_379, &layout.s3_dir);
    fill(&source);
    let destination: Destination =
        serde_json::from_str(r#"{"volume": {"claimName": "backups"}}"#).unwrap();
    let take = Task::Backup(Box::new(BackupTask {
        bus: "b".to_owned(),
        namespace: "n".to_owned(),
        uid: "old".to_owned(),
        backup: "one".to_owned(),
        scheduled: false,
        destination: destination.clone(),
        encrypted: true,
        sources: vec![Source {
            pod: "b-redis-1".to_owned(),
            host: "127.0.0.1".to_owned(),
        }],
        port: source.port,
        tls: false,
    }));
    let Report::Taken(taken) = carry_out(&take, &layout).await.unwrap() else {
        panic!("it is taken");
    };
    let all = u64::from(KEYS.0 + KEYS.1);
    let counted = taken.keys.unwrap();
    assert!(
        counted >= all && counted <= all + u64::from(KEYS.2),
        "{counted}"
    );

    let path = "n/b/one".to_owned();
    let verify = Task::Verify(VerifyTask {
        destination: destination.clone(),
        path: path.clone(),
        engine: kind(),
    });
    let Report::Verified(loaded) = carry_out(&verify, &layout).await.unwrap() else {
        panic!("it is loaded");
    };
    assert_eq!((loaded.keys, loaded.keys + loaded.expired), (all, counted));

    let restore = Task::Restore(RestoreTask {
        destination,
        path,
        uid: "new".to_owned(),
        pod: "b-redis-0".to_owned(),
    });
    carry_out(&restore, &layout).await.unwrap();
    let copy = Engine::start(16_380, &layout.data_dir);
    let (mut before, mut after) = (source.connect().unwrap(), copy.connect().unwrap());
    for number in 0..KEYS.0 {
        let get = format!("GET plain:{number}");
        assert_eq!(after.ask(&get), format!("value-{number}"));
    }
    for number in 0..KEYS.1 {
        let ends = format!("PEXPIRETIME ttl:{number}");
        assert_eq!(after.ask(&ends), before.ask(&ends));
    }
    assert_eq!(after.ask("DBSIZE"), format!(":{all}"));
}

/// A server that has given its data knows the taker no more: to its own replicas and to Sentinels it is as before.
#[tokio::test]
async fn the_taker_is_gone_from_the_server_s_list_of_replicas() {
    let root = tempfile::tempdir().unwrap();
    let layout = layout(root.path());
    let source = Engine::start(16_381, &layout.s3_dir);
    fill(&source);
    let credentials = cachebus_admin::Credentials::new("replication", "secret");
    let endpoint = cachebus_admin::Endpoint::new("127.0.0.1", source.port);
    let mut snapshot = cachebus_admin::Snapshot::request(&endpoint, &credentials)
        .await
        .unwrap();
    let mut all = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut snapshot, &mut all)
        .await
        .unwrap();
    assert!(all.starts_with(b"REDIS") || all.starts_with(b"VALKEY"));
    drop(snapshot);
    let mut wire = source.connect().unwrap();
    let began = Instant::now();
    while !wire.ask("INFO replication").contains("connected_slaves:0") {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "it is still listed"
        );
        std::thread::yield_now();
    }
}
