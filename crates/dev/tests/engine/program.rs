//! The program, as a process of its own: this very program, told to be that one.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use cachebus::{CacheBus, Settings, Source};
use cachebus_admin::Endpoint;
use tempfile::TempDir;

/// Arguments of the program, one on each line.
const ARGUMENTS: &str = "CACHEBUS_TEST_DEV_ARGUMENTS";
const LIMIT: Duration = Duration::from_mins(1);

pub(crate) const SAMPLE: &str = include_str!("../../../../config/samples/platform.yaml");

/// No test: the program, where a test has started it.
#[test]
fn cachebus() {
    if let Some(arguments) = env::var_os(ARGUMENTS) {
        let arguments = arguments.into_string().unwrap();
        let arguments = arguments.split('\n').map(Into::into);
        std::process::exit(i32::from(cachebus_dev::main(arguments)));
    }
}

/// A folder with a file, in which the program is started.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cachebus.yaml"), SAMPLE).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, text: &str) {
        fs::write(self.path("cachebus.yaml"), text).unwrap();
    }

    /// The program, with the server that is tested.
    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        let server = executable();
        let server = ["--server", server.to_str().unwrap()];
        self.bare(&[server.as_slice(), arguments].concat())
    }

    /// The program with these arguments alone.
    pub(crate) fn bare(&self, arguments: &[&str]) -> Command {
        let all = [["cachebus", "dev"].as_slice(), arguments].concat();
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["--exact", "program::cachebus", "--nocapture", "--quiet"])
            .current_dir(self.folder.path())
            .env(ARGUMENTS, all.join("\n"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.program(arguments).output().unwrap()
    }

    /// Starts the program and waits until it serves.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Dev {
        Dev::start(self.program(arguments))
    }

    pub(crate) fn binding(&self, service: &str) -> PathBuf {
        self.path(".cachebus/bindings").join(service)
    }

    /// A client of a service, as its code would have it.
    pub(crate) fn client(&self, service: &str) -> CacheBus {
        client(&self.binding(service))
    }

    pub(crate) fn entry(&self, service: &str, entry: &str) -> String {
        fs::read_to_string(self.binding(service).join(entry)).unwrap()
    }
}

/// The program, serving.
pub(crate) struct Dev {
    child: Child,
    /// What it has printed, and prints.
    lines: Receiver<String>,
    /// All lines up to that it serves.
    pub(crate) greeting: String,
}

impl Dev {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let outputs: [Box<dyn std::io::Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for output in outputs {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        let mut dev = Self {
            child,
            lines,
            greeting: String::new(),
        };
        dev.greeting = dev.until("Ctrl-C");
        dev
    }

    /// All that it prints up to a line that holds `word`.
    pub(crate) fn until(&mut self, word: &str) -> String {
        let mut said = String::new();
        loop {
            let Ok(line) = self.lines.recv_timeout(LIMIT) else {
                panic!("it does not say {word:?} but:\n{said}");
            };
            said.push_str(&line);
            said.push('\n');
            if line.contains(word) {
                return said;
            }
        }
    }

    /// Sends a signal and waits for the end; the exit code.
    pub(crate) fn end(mut self, signal: &str) -> Option<i32> {
        self.signal(signal);
        ended(&mut self.child)
    }

    pub(crate) fn signal(&self, signal: &str) {
        send(signal, self.child.id());
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It takes its server along; a test that has failed leaves no process behind.
        if let Ok(None) = self.child.try_wait() {
            self.signal("-TERM");
            let _ = self.child.wait();
        }
    }
}

pub(crate) fn send(signal: &str, pid: u32) {
    let _ = Command::new("kill")
        .args([signal, &pid.to_string()])
        .stderr(Stdio::null())
        .status();
}

pub(crate) fn ended(child: &mut Child) -> Option<i32> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(started.elapsed() < LIMIT, "it does not end");
        thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn client(binding: &Path) -> CacheBus {
    let mut settings = Settings::default();
    // Busy machines are slow, and what changes is to be seen soon.
    settings.connect_timeout = Duration::from_secs(5);
    settings.command_timeout = Duration::from_secs(5);
    settings.reload_every = Duration::from_millis(100);
    CacheBus::builder(Source::folder(binding))
        .settings(settings)
        .open()
        .unwrap()
}

/// Asks until the answer is yes.
pub(crate) async fn until(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !ask().await {
        assert!(started.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A server at this port; machines on which tests run are busy.
pub(crate) fn endpoint(port: u16) -> Endpoint {
    Endpoint::new("127.0.0.1", port).with_deadline(LIMIT)
}

pub(crate) fn executable() -> PathBuf {
    let named = env::var_os("CACHEBUS_TEST_SERVER").unwrap_or_else(|| "redis-server".into());
    let path = env::var_os("PATH").unwrap_or_default();
    // An absolute path stays as it is.
    env::split_paths(&path)
        .map(|folder| folder.join(&named))
        .find(|program| program.is_file())
        .expect("these tests need a server: install the Debian package `redis-server`")
}
