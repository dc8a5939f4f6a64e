//! Other programs, run with errors that say which command failed and what it printed.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};

/// How much of a failed command's output its error repeats.
const TAIL_LINES: usize = 20;

/// A command line under construction.
pub struct Cmd {
    command: Command,
    limit: Option<Duration>,
    input: Input,
}

/// What a command reads from its standard input.
enum Input {
    Nothing,
    Bytes(Vec<u8>),
    File(File),
}

impl Cmd {
    /// A command that runs `program`, looked up on the `PATH` it is given.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.env("PATH", search_path());
        Self {
            command,
            limit: None,
            input: Input::Nothing,
        }
    }

    /// A command that is stopped when it has not ended within `limit`.
    pub fn limited(program: impl AsRef<OsStr>, limit: Duration) -> Self {
        let mut cmd = Self::new("timeout");
        cmd.limit = Some(limit);
        cmd.arg("--kill-after=5")
            .arg(limit.as_secs().max(1).to_string())
            .arg(program)
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs in `dir`.
    #[must_use]
    pub fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// What the command reads from its standard input; nothing otherwise.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Input::Bytes(bytes.into());
        self
    }

    /// A file that the command reads from its standard input.
    pub fn input_file(mut self, path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        self.input = Input::File(file);
        Ok(self)
    }

    /// Runs to the end, quietly.
    pub fn run(self) -> anyhow::Result<()> {
        self.output().map(drop)
    }

    /// Runs to the end; returns what it printed, without the space around it.
    pub fn output(self) -> anyhow::Result<String> {
        let line = self.to_string();
        let limit = self.limit;
        let output = self.collect()?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let stdout = String::from_utf8_lossy(&output.stdout);
            let printed = if stderr.trim().is_empty() {
                stdout
            } else {
                stderr
            };
            return Err(failure(&line, output.status, limit, &printed));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Whether the command ran and succeeded.
    pub fn succeeds(self) -> bool {
        self.collect().is_ok_and(|output| output.status.success())
    }

    /// Runs to the end with its output going to the terminal.
    pub fn stream(mut self) -> anyhow::Result<()> {
        crate::progress::close_line();
        let line = self.to_string();
        self.command.stdin(Stdio::null());
        let status = self.command.status().with_context(|| not_started(&line))?;
        if status.success() {
            Ok(())
        } else {
            Err(failure(&line, status, self.limit, ""))
        }
    }

    /// Runs both to the end, `next` reading what this command writes.
    pub fn pipe_to(mut self, mut next: Self) -> anyhow::Result<()> {
        let (first_line, next_line) = (self.to_string(), next.to_string());
        let mut first = self
            .command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| not_started(&first_line))?;
        let pipe = first
            .stdout
            .take()
            .with_context(|| not_started(&first_line))?;
        let mut complaints = first
            .stderr
            .take()
            .with_context(|| not_started(&first_line))?;
        let collector = std::thread::spawn(move || {
            let mut text = String::new();
            complaints.read_to_string(&mut text).map(|_| text)
        });
        let output = next
            .command
            .stdin(pipe)
            .output()
            .with_context(|| not_started(&next_line))?;
        let status = first.wait().with_context(|| not_started(&first_line))?;
        let complaints = collector
            .join()
            .map_err(|_| anyhow!("the output of `{first_line}` could not be read"))??;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(failure(&next_line, output.status, next.limit, &stderr));
        }
        if !status.success() {
            return Err(failure(&first_line, status, self.limit, &complaints));
        }
        Ok(())
    }

    /// Starts the command in a session of its own, so that it outlives this program, printing into `log`.
    pub fn detach(self, log: &Path) -> anyhow::Result<()> {
        let line = self.to_string();
        let file =
            File::create(log).with_context(|| format!("cannot write the log {}", log.display()))?;
        let status = Command::new("setsid")
            .arg("--fork")
            .arg(self.command.get_program())
            .args(self.command.get_args())
            .envs(
                self.command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(Stdio::null())
            .stderr(file.try_clone()?)
            .stdout(file)
            .status()
            .with_context(|| not_started(&line))?;
        if status.success() {
            Ok(())
        } else {
            bail!("`{line}` could not be started in the background ({status})")
        }
    }

    fn collect(mut self) -> anyhow::Result<Output> {
        let line = self.to_string();
        let (stdin, bytes) = match self.input {
            Input::Nothing => (Stdio::null(), None),
            Input::Bytes(bytes) => (Stdio::piped(), Some(bytes)),
            Input::File(file) => (Stdio::from(file), None),
        };
        let mut child = self
            .command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| not_started(&line))?;
        let writer = bytes
            .zip(child.stdin.take())
            .map(|(bytes, mut pipe)| std::thread::spawn(move || pipe.write_all(&bytes)));
        let output = child
            .wait_with_output()
            .with_context(|| format!("the output of `{line}` could not be read"))?;
        if let Some(writer) = writer {
            // A command that fails before it has read everything says why by itself.
            let _ = writer.join();
        }
        Ok(output)
    }
}

impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.command.get_program().to_string_lossy())?;
        for arg in self.command.get_args() {
            write!(f, " {}", arg.to_string_lossy())?;
        }
        Ok(())
    }
}

/// Whether a program of this name can be run.
pub(crate) fn is_on_path(program: &str) -> bool {
    find_on_path(program).is_some()
}

/// Where a program of this name is found.
pub(crate) fn find_on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path())
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

/// `PATH`, and the folders of system programs that a user's shell may leave out.
pub(crate) fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    path
}

fn not_started(line: &str) -> String {
    let program = line.split(' ').next().unwrap_or(line);
    format!("`{line}` could not be run: is {program} installed and on PATH?")
}

fn failure(
    line: &str,
    status: ExitStatus,
    limit: Option<Duration>,
    printed: &str,
) -> anyhow::Error {
    /// How `timeout` reports that the time was up.
    const TIMED_OUT: i32 = 124;
    let why = match (status.code(), limit) {
        (Some(TIMED_OUT), Some(limit)) => format!("no end after {} s", limit.as_secs()),
        _ => status.to_string(),
    };
    let tail = tail(printed);
    if tail.is_empty() {
        anyhow!("`{line}` failed: {why}")
    } else {
        anyhow!("`{line}` failed: {why}\n{tail}")
    }
}

/// The last lines of a text, indented.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    lines[from..]
        .iter()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn failure_names_the_command_and_repeats_its_complaint() {
        let error = Cmd::new("sh")
            .args(["-c", "echo broken pipe dream >&2; exit 3"])
            .run()
            .unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("`sh -c"), "{text}");
        assert!(text.contains("exit status: 3"), "{text}");
        assert!(text.contains("broken pipe dream"), "{text}");
    }

    #[test]
    fn missing_program_is_named() {
        let error = Cmd::new("no-such-program-here").run().unwrap_err();
        assert!(format!("{error:#}").contains("is no-such-program-here installed"));
    }

    #[test]
    fn command_over_its_limit_is_stopped() {
        let error = Cmd::limited("sleep", Duration::from_secs(1))
            .arg("30")
            .run()
            .unwrap_err();
        assert!(format!("{error:#}").contains("no end after 1 s"));
    }

    #[test]
    fn input_and_pipes_reach_the_other_side() {
        assert_eq!(Cmd::new("cat").input(*b"kept\n").output().unwrap(), "kept");
        Cmd::new("echo")
            .arg("kept")
            .pipe_to(Cmd::new("grep").arg("kept"))
            .unwrap();
        let error = Cmd::new("echo")
            .arg("kept")
            .pipe_to(Cmd::new("grep").arg("lost"))
            .unwrap_err();
        assert!(format!("{error:#}").contains("`grep lost` failed"));
    }
}
