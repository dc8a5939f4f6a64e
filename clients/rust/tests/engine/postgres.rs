//! A PostgreSQL that lives as long as a test.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{env, fs};

use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};

use crate::process::{HOST, free_port};
use crate::wait::until;

/// `nobody`: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;

pub(crate) struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
    server: Child,
}

impl Postgres {
    /// `None`, and a word about it, where no PostgreSQL is named.
    pub(crate) async fn start() -> Option<Self> {
        let Some(programs) = env::var_os("CACHEBUS_TEST_POSTGRES") else {
            // Not by a macro, whose words are not shown for a test that passes.
            let word =
                b"skipped: CACHEBUS_TEST_POSTGRES names no folder of PostgreSQL's programs\n";
            std::io::stderr().write_all(word).unwrap();
            return None;
        };
        let programs = PathBuf::from(programs);
        let folder = tempfile::tempdir().unwrap();
        if is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let made = program(&programs, "initdb")
            .args(["--auth=trust", "--username=postgres", "--locale=C"])
            .args(["--encoding=UTF8", "--no-sync", "--pgdata"])
            .arg(folder.path().join("data"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let port = free_port();
        let postgres = Self {
            server: serve(&programs, &folder, port),
            programs,
            folder,
            port,
        };
        postgres.client().await;
        Some(postgres)
    }

    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new();
        config.host(HOST).port(self.port).user("postgres");
        config
    }

    /// A connection, once the server takes one.
    pub(crate) async fn client(&self) -> Client {
        let (client, connection) = until("PostgreSQL answers", async || {
            self.config().connect(NoTls).await.ok()
        })
        .await;
        tokio::spawn(connection);
        client
    }

    /// Kills the server and starts it on its files.
    pub(crate) fn crash_and_return(&mut self) {
        self.end();
        self.server = serve(&self.programs, &self.folder, self.port);
    }

    fn end(&mut self) {
        // SIGQUIT: its children end with it, and it recovers at the next start.
        let pid = self.server.id().to_string();
        Command::new("kill").args(["-QUIT", &pid]).status().unwrap();
        self.server.wait().unwrap();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end();
    }
}

fn serve(programs: &Path, folder: &TempDir, port: u16) -> Child {
    program(programs, "postgres")
        .args(["-h", HOST, "-p", &port.to_string(), "-F", "-k"])
        .arg(folder.path())
        .arg("-D")
        .arg(folder.path().join("data"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn program(programs: &Path, name: &str) -> Command {
    let mut command = Command::new(programs.join(name));
    command.current_dir("/").stdin(Stdio::null());
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}
