//! One command for a server.

use redis::ToRedisArgs;

/// A command with its arguments. Errors and logs name it, never its arguments.
#[derive(Clone)]
pub(crate) struct Command {
    name: &'static str,
    cmd: redis::Cmd,
}

impl Command {
    /// `name`: its first word.
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            cmd: redis::cmd(name),
        }
    }

    /// The same with room for its arguments: so many of so many bytes in all.
    pub(crate) fn with_room(name: &'static str, arguments: usize, bytes: usize) -> Self {
        let mut cmd = redis::Cmd::with_capacity(1 + arguments, name.len() + bytes);
        cmd.arg(name);
        Self { name, cmd }
    }

    pub(crate) fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.cmd.arg(argument);
        self
    }

    pub(crate) fn args<A: ToRedisArgs>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        for argument in arguments {
            self.cmd.arg(argument);
        }
        self
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Bytes of its words.
    pub(crate) fn size(&self) -> usize {
        let words = self.cmd.args_iter();
        words
            .map(|word| match word {
                redis::Arg::Simple(bytes) => bytes.len(),
                _ => 0,
            })
            .sum()
    }

    pub(crate) fn cmd(&self) -> &redis::Cmd {
        &self.cmd
    }
}
