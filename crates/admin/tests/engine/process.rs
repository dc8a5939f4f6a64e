//! Servers and Sentinels that live as long as a test.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        atomic::{AtomicU16, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

use cachebus_admin::{Address, Credentials, Endpoint, Sentinel, Server};

const HOST: &str = "127.0.0.1";
const START_LIMIT: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Process {
    child: Child,
    pub(crate) port: u16,
    pub(crate) directory: PathBuf,
}

impl Process {
    /// A data node that serves; `arguments` are appended to its command line.
    pub(crate) fn server(arguments: &[&str]) -> Self {
        let port = free_port();
        let directory = fresh_directory(port);
        Self::data_node(port, directory, arguments, "Ready to accept connections")
    }

    /// Starts an ended data node on its files; does not wait until it has read them.
    pub(crate) fn start_again(mut self, arguments: &[&str]) -> Self {
        let directory = std::mem::take(&mut self.directory);
        Self::data_node(self.port, directory, arguments, "Server initialized")
    }

    fn data_node(port: u16, directory: PathBuf, arguments: &[&str], ready: &str) -> Self {
        let mut command = Command::new(executable());
        command
            .args(["--port", &port.to_string(), "--bind", HOST])
            .args(["--save", "", "--repl-diskless-sync-delay", "0", "--dir"])
            .arg(&directory)
            .args(arguments);
        Self::start(command, port, directory, ready)
    }

    /// A Sentinel that monitors nothing yet; `lines` are added to its configuration.
    pub(crate) fn sentinel(lines: &str) -> Self {
        let port = free_port();
        let directory = fresh_directory(port);
        let config = directory.join("sentinel.conf");
        fs::write(&config, format!("port {port}\nbind {HOST}\n{lines}\n")).unwrap();
        let mut command = Command::new(executable());
        command.arg(config).arg("--sentinel");
        Self::start(command, port, directory, "Sentinel ID is")
    }

    fn start(mut command: Command, port: u16, directory: PathBuf, ready: &str) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the engine's executable runs");
        let lines = follow(&mut child);
        let process = Self {
            child,
            port,
            directory,
        };
        let mut log = Vec::new();
        loop {
            match lines.recv_timeout(START_LIMIT) {
                Ok(line) if line.contains(ready) => return process,
                Ok(line) => log.push(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("the engine did not start:\n{}", log.join("\n"))
                }
            }
        }
    }

    pub(crate) fn address(&self) -> Address {
        Address::new(HOST, self.port)
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::new(HOST, self.port)
    }

    /// A connection that bears a machine which has other work.
    pub(crate) async fn connect(&self) -> Server {
        let endpoint = self.endpoint().with_deadline(PATIENCE);
        Server::connect(&endpoint, None).await.unwrap()
    }

    pub(crate) async fn connect_as(&self, username: &str, password: &str) -> Server {
        let credentials = Credentials::new(username, password);
        Server::connect(&self.endpoint(), Some(&credentials))
            .await
            .unwrap()
    }

    pub(crate) async fn connect_sentinel(&self) -> Sentinel {
        Sentinel::connect(&self.endpoint(), None).await.unwrap()
    }

    /// Stops the process where it stands: its sockets stay open, nothing answers.
    pub(crate) fn freeze(&self) {
        let status = Command::new("kill")
            .args(["-STOP", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait(&mut self) {
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Either fails only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Hands on what the child prints, and keeps reading after nobody listens so that it never blocks.
fn follow(child: &mut Child) -> Receiver<String> {
    let output = BufReader::new(child.stdout.take().unwrap());
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

fn executable() -> PathBuf {
    if let Some(path) = env::var_os("CACHEBUS_TEST_SERVER") {
        return path.into();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .flat_map(|directory| ["redis-server", "valkey-server"].map(|name| directory.join(name)))
        .find(|candidate| candidate.is_file())
        .expect(
            "these tests need a server: install the Debian package `redis-server`, \
             or set CACHEBUS_TEST_SERVER to the path of a redis-server or valkey-server",
        )
}

pub(crate) fn free_port() -> u16 {
    // Below the ports that connections take for themselves, and each only once in this process: a port that was free a moment
    // ago may be the near end of another test's connection by the time the server binds it.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 150).unwrap() * 100;
    loop {
        let port = 12_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

fn fresh_directory(port: u16) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("engine-{port}"));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}
