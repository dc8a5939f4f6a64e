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

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;

pub(crate) const HOST: &str = "127.0.0.1";
const START_LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Process {
    child: Child,
    pub(crate) port: u16,
    directory: PathBuf,
    arguments: Vec<String>,
}

impl Process {
    /// A data node that serves; `arguments` are appended to its command line.
    pub(crate) fn server(arguments: &[&str]) -> Self {
        let port = free_port();
        let arguments = arguments.iter().map(|&argument| argument.to_owned());
        Self::data_node(port, fresh_directory(port), arguments.collect())
    }

    fn data_node(port: u16, directory: PathBuf, arguments: Vec<String>) -> Self {
        let mut command = Command::new(executable());
        command
            .args(["--port", &port.to_string(), "--bind", HOST])
            .args(["--save", "", "--repl-diskless-sync-delay", "0", "--dir"])
            .arg(&directory)
            .args(&arguments);
        let ready = "Ready to accept connections";
        Self::start(command, port, directory, arguments, ready)
    }

    /// A Sentinel that monitors nothing yet; `lines` are added to its configuration.
    pub(crate) fn sentinel(lines: &str) -> Self {
        let port = free_port();
        let directory = fresh_directory(port);
        let config = directory.join("sentinel.conf");
        fs::write(&config, format!("port {port}\nbind {HOST}\n{lines}\n")).unwrap();
        let mut command = Command::new(executable());
        command.arg(config).arg("--sentinel");
        Self::start(command, port, directory, Vec::new(), "Sentinel ID is")
    }

    fn start(
        mut command: Command,
        port: u16,
        directory: PathBuf,
        arguments: Vec<String>,
        ready: &str,
    ) -> Self {
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
            arguments,
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

    /// Kills a data node and starts it on its files.
    pub(crate) fn crash_and_return(mut self) -> Self {
        self.kill();
        let directory = std::mem::take(&mut self.directory);
        let arguments = std::mem::take(&mut self.arguments);
        Self::data_node(self.port, directory, arguments)
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A connection of somebody who may do everything.
    pub(crate) async fn admin(&self) -> MultiplexedConnection {
        let client = redis::Client::open(format!("redis://{HOST}:{}", self.port)).unwrap();
        let patient = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(START_LIMIT))
            .set_response_timeout(Some(START_LIMIT));
        client
            .get_multiplexed_async_connection_with_config(&patient)
            .await
            .unwrap()
    }

    /// Stops the process where it stands: its sockets stay open, nothing answers.
    pub(crate) fn freeze(&self) {
        signal(&self.child, "-STOP");
    }

    pub(crate) fn thaw(&self) {
        signal(&self.child, "-CONT");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Each fails only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Has a child stop where it stands (`-STOP`), or go on (`-CONT`).
pub(crate) fn signal(child: &Child, signal: &str) {
    let status = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
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
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("client-{port}"));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}
