//! Backups on a volume, of a data pod that is played.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod folders;

use age::secrecy::ExposeSecret as _;
use cachebus_agent::{VolumeHolds, holds};
use cachebus_api::backup::{Destination, Retention};
use cachebus_backup::{BackupError, Layout, carry_out};
use cachebus_core::backup::{
    BackupTask, PruneTask, Pruned, Report, Restoration, RestoreTask, Source, Taken, Task,
};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

const UID: &str = "uid-of-b";
/// A dataset with two keys, as far as its beginning says.
const DATASET: &[u8] =
    b"REDIS0011\xFA\x09redis-ver\x057.2.0\xFE\x00\xFB\x02\x00data and data\xFFchecksum";
const MARK: &str = "0123456789abcdef0123456789abcdef01234567";

/// Folders of a pod.
struct Pod {
    root: TempDir,
    layout: Layout,
}

impl Pod {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let layout = folders::below(root.path());
        fs::write(layout.auth_dir.join("replication"), "secret\n").unwrap();
        Self { root, layout }
    }

    fn with_key() -> Self {
        let pod = Self::new();
        let identity = age::x25519::Identity::generate();
        let secret = identity.to_string();
        let text = format!("# made for a test\n{}\n", secret.expose_secret());
        fs::write(pod.layout.age_dir.join("identity"), text).unwrap();
        let recipient = format!("{}\n", identity.to_public());
        fs::write(pod.layout.age_dir.join("recipients"), recipient).unwrap();
        pod
    }

    /// Everything below the volume of backups.
    fn stored(&self) -> Vec<String> {
        let mut found = Vec::new();
        walk(&self.layout.backup_dir, &mut found);
        let top = self.layout.backup_dir.to_str().unwrap().len() + 1;
        found
            .into_iter()
            .map(|path| path[top..].to_owned())
            .collect()
    }

    async fn take(&self, task: BackupTask) -> Result<Taken, BackupError> {
        match carry_out(&Task::Backup(Box::new(task)), &self.layout).await? {
            Report::Taken(taken) => Ok(taken),
            other => panic!("{other:?}"),
        }
    }

    async fn restore(&self, path: &str) -> Result<Restoration, BackupError> {
        let task = Task::Restore(RestoreTask {
            destination: volume(),
            path: path.to_owned(),
            uid: UID.to_owned(),
            pod: "b-redis-0".to_owned(),
        });
        match carry_out(&task, &self.layout).await? {
            Report::Restored(restored) => Ok(restored),
            other => panic!("{other:?}"),
        }
    }

    /// Keeps one.
    async fn prune(&self) -> Pruned {
        let task = Task::Prune(PruneTask {
            bus: "b".to_owned(),
            namespace: "n".to_owned(),
            uid: "uid-of-another".to_owned(),
            destination: volume(),
            retention: Retention {
                count: Some(1),
                age: None,
            },
        });
        match carry_out(&task, &self.layout).await.unwrap() {
            Report::Pruned(pruned) => pruned,
            other => panic!("{other:?}"),
        }
    }

    /// Where a backup is.
    fn folder(&self, backup: &str) -> PathBuf {
        self.layout.backup_dir.join("n/b").join(backup)
    }

    fn data(&self) -> &Path {
        &self.layout.data_dir
    }
}

fn walk(folder: &Path, found: &mut Vec<String>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        if entry.path().is_dir() {
            walk(&entry.path(), found);
        } else {
            found.push(entry.path().to_str().unwrap().to_owned());
        }
    }
}

fn volume() -> Destination {
    serde_json::from_str(r#"{"volume": {"claimName": "backups"}}"#).unwrap()
}

/// A data pod that sends this to whoever asks, and then breaks off.
async fn serve(sent: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            while !line.contains("PSYNC") {
                line.clear();
                stream.read_line(&mut line).await.unwrap();
                let is_command = ["AUTH", "REPLCONF"].iter().any(|name| line.contains(name));
                if is_command {
                    stream.write_all(b"+OK\r\n").await.unwrap();
                }
            }
            let greeting = b"\n+FULLRESYNC 0123456789 7\r\n\n\n";
            stream.write_all(greeting).await.unwrap();
            stream.write_all(&sent).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    port
}

async fn whole() -> u16 {
    let sent = [
        format!("$EOF:{MARK}\r\n").as_bytes(),
        DATASET,
        MARK.as_bytes(),
    ]
    .concat();
    serve(sent).await
}

fn task(backup: &str, port: u16) -> BackupTask {
    BackupTask {
        bus: "b".to_owned(),
        namespace: "n".to_owned(),
        uid: "uid-of-another".to_owned(),
        backup: backup.to_owned(),
        scheduled: true,
        destination: volume(),
        encrypted: false,
        sources: vec![Source {
            pod: "b-redis-1".to_owned(),
            host: "127.0.0.1".to_owned(),
        }],
        port,
        tls: false,
    }
}

#[tokio::test]
async fn what_a_data_pod_sends_is_stored_and_restored_byte_by_byte() {
    let pod = Pod::new();
    let taken = pod.take(task("one", whole().await)).await.unwrap();
    assert_eq!(taken.keys, Some(2));
    assert_eq!(taken.engine_version.as_deref(), Some("7.2.0"));
    assert_eq!(taken.size_bytes, DATASET.len() as u64);
    assert_eq!(pod.stored(), ["n/b/one/dump.rdb", "n/b/one/manifest.json"]);
    assert_eq!(pod.restore("n/b/one").await.unwrap().keys, Some(2));
    assert_eq!(fs::read(pod.data().join("dump.rdb")).unwrap(), DATASET);
    assert_eq!(holds(pod.data(), UID).unwrap(), VolumeHolds::ThisBus);
    // A pod that is started again finds its work done.
    pod.restore("n/b/one").await.unwrap();
}

#[tokio::test]
async fn an_encrypted_backup_is_read_by_its_identity_alone() {
    let pod = Pod::with_key();
    let encrypted = BackupTask {
        encrypted: true,
        ..task("one", whole().await)
    };
    pod.take(encrypted).await.unwrap();
    let file = pod.layout.backup_dir.join("n/b/one/dump.rdb.age");
    let stored = fs::read(&file).unwrap();
    assert!(stored.starts_with(b"age-encryption.org/v1"));
    assert!(!stored.windows(9).any(|part| part == b"REDIS0011"));

    let other = Pod::with_key();
    fs::rename(&pod.layout.backup_dir, other.root.path().join("theirs")).unwrap();
    let thief = Layout {
        backup_dir: other.root.path().join("theirs"),
        ..other.layout.clone()
    };
    let restore = Task::Restore(RestoreTask {
        destination: volume(),
        path: "n/b/one".to_owned(),
        uid: UID.to_owned(),
        pod: "b-redis-0".to_owned(),
    });
    let error = carry_out(&restore, &thief).await.unwrap_err();
    assert_eq!(error.reason(), "CipherFailed");
    assert_eq!(holds(other.data(), UID).unwrap(), VolumeHolds::Nothing);

    let owner = Layout {
        age_dir: pod.layout.age_dir.clone(),
        ..thief
    };
    carry_out(&restore, &owner).await.unwrap();
    assert_eq!(fs::read(other.data().join("dump.rdb")).unwrap(), DATASET);
}

#[tokio::test]
async fn a_data_pod_that_breaks_off_leaves_nothing_that_looks_whole() {
    let pod = Pod::new();
    let cut = [format!("$EOF:{MARK}\r\n").as_bytes(), &DATASET[..30]].concat();
    let error = pod.take(task("one", serve(cut).await)).await.unwrap_err();
    assert_eq!(error.reason(), "SourceBrokeOff");
    assert_eq!(pod.stored(), [""; 0]);
    let error = pod.restore("n/b/one").await.unwrap_err();
    assert_eq!(error.reason(), "NoBackup");
}

#[tokio::test]
async fn what_is_no_dataset_is_no_backup() {
    let pod = Pod::new();
    let sent = format!("$EOF:{MARK}\r\nhello{MARK}").into_bytes();
    let error = pod.take(task("one", serve(sent).await)).await.unwrap_err();
    assert_eq!(error.reason(), "NotADataset");
    assert_eq!(pod.stored(), [""; 0]);
}

#[tokio::test]
async fn the_next_data_pod_is_asked_where_one_gives_nothing() {
    let pod = Pod::new();
    let mut backup = task("one", whole().await);
    let deaf = Source {
        pod: "b-redis-2".to_owned(),
        host: "127.0.0.2".to_owned(),
    };
    backup.sources.insert(0, deaf.clone());
    assert_eq!(pod.take(backup.clone()).await.unwrap().source, "b-redis-1");
    let nobody = BackupTask {
        backup: "two".to_owned(),
        sources: vec![deaf],
        ..backup
    };
    assert_eq!(pod.take(nobody).await.unwrap_err().reason(), "NoSource");
}

#[tokio::test]
async fn a_backup_is_never_written_over_and_an_attempt_that_came_to_nothing_is() {
    let pod = Pod::new();
    let port = whole().await;
    let folder = pod.layout.backup_dir.join("n/b/one");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("dump.rdb"), "half of one").unwrap();
    pod.take(task("one", port)).await.unwrap();
    let error = pod.take(task("one", port)).await.unwrap_err();
    assert_eq!(error.reason(), "AlreadyThere");
}

#[tokio::test]
async fn older_backups_go_and_those_that_are_not_the_schedules_or_the_buss_stay() {
    let pod = Pod::new();
    let port = whole().await;
    let mine = BackupTask {
        scheduled: false,
        ..task("mine", port)
    };
    let earlier = BackupTask {
        uid: "uid-of-an-earlier-one".to_owned(),
        ..task("earlier", port)
    };
    for backup in [mine, earlier, task("one", port), task("two", port)] {
        pod.take(backup).await.unwrap();
    }
    for backup in ["mine", "earlier", "one"] {
        let manifest = pod.folder(backup).join("manifest.json");
        let text = fs::read_to_string(&manifest).unwrap();
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value["takenAtS"] = 5.into();
        fs::write(&manifest, value.to_string()).unwrap();
    }
    let pruned = pod.prune().await;
    assert_eq!(
        (&pruned.deleted[..], pruned.failure),
        (&["one".to_owned()][..], None)
    );
    assert!(!pod.folder("one").exists());
    for kept in ["mine", "earlier", "two"] {
        assert!(pod.folder(kept).join("manifest.json").exists(), "{kept}");
    }
}

#[tokio::test]
async fn a_manifest_that_cannot_be_read_keeps_no_other_from_going() {
    let pod = Pod::new();
    let port = whole().await;
    for backup in ["damaged", "one", "two"] {
        pod.take(task(backup, port)).await.unwrap();
    }
    fs::write(pod.folder("damaged").join("manifest.json"), "{").unwrap();
    let pruned = pod.prune().await;
    assert_eq!(pruned.deleted.len(), 1);
    assert_eq!(pruned.failure.as_deref(), Some("Damaged"));
    assert!(pod.folder("damaged").join("dump.rdb").exists());
}

#[tokio::test]
async fn what_killed_attempts_have_left_goes_after_a_day() {
    let pod = Pod::new();
    pod.take(task("one", whole().await)).await.unwrap();
    for (attempt, hours) in [("now", 1), ("long-ago", 25)] {
        // As an upload to a volume is called until it is whole.
        let file = pod.folder(attempt).join("dump.rdb#1");
        fs::create_dir_all(pod.folder(attempt)).unwrap();
        fs::write(&file, "half of one").unwrap();
        let then = SystemTime::now() - Duration::from_hours(hours);
        File::open(&file).unwrap().set_modified(then).unwrap();
    }
    assert_eq!(pod.prune().await, Pruned::default());
    assert!(pod.folder("now").exists());
    assert!(!pod.folder("long-ago").exists());
}

#[tokio::test]
async fn what_is_damaged_is_not_restored() {
    let pod = Pod::new();
    pod.take(task("one", whole().await)).await.unwrap();
    let file = pod.layout.backup_dir.join("n/b/one/dump.rdb");
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, &bytes).unwrap();
    assert_eq!(
        pod.restore("n/b/one").await.unwrap_err().reason(),
        "Damaged"
    );
    bytes.pop();
    fs::write(&file, &bytes).unwrap();
    assert_eq!(
        pod.restore("n/b/one").await.unwrap_err().reason(),
        "Damaged"
    );
    assert_eq!(holds(pod.data(), UID).unwrap(), VolumeHolds::Nothing);
}

#[tokio::test]
async fn nothing_is_restored_over_data() {
    let pod = Pod::new();
    pod.take(task("one", whole().await)).await.unwrap();
    let mine = pod.data().join("dump.rdb");
    fs::write(&mine, "REDIS0011 mine").unwrap();
    let error = pod.restore("n/b/one").await.unwrap_err();
    assert_eq!(error.reason(), "VolumeHoldsData");
    assert_eq!(fs::read(&mine).unwrap(), b"REDIS0011 mine");
}
