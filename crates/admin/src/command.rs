//! One command on its way out, which knows what of it may be repeated in an error.

use redis::Cmd;

/// What is shown in place of a secret.
const REDACTED: &str = "[redacted]";

pub(crate) struct Command {
    name: &'static str,
    cmd: Cmd,
    secrets: Vec<String>,
}

impl Command {
    /// `name` is the command with its subcommand, such as `ACL SETUSER`.
    pub(crate) fn new(name: &'static str) -> Self {
        let mut cmd = Cmd::new();
        for word in name.split(' ') {
            cmd.arg(word);
        }
        Self {
            name,
            cmd,
            secrets: Vec::new(),
        }
    }

    pub(crate) fn arg(mut self, value: impl AsRef<str>) -> Self {
        self.cmd.arg(value.as_ref());
        self
    }

    /// A key as the server told it, which need not be text.
    pub(crate) fn key(mut self, key: &[u8]) -> Self {
        self.cmd.arg(key);
        self
    }

    pub(crate) fn args<I: IntoIterator<Item: AsRef<str>>>(self, values: I) -> Self {
        values.into_iter().fold(self, Self::arg)
    }

    /// An argument that no error may repeat.
    pub(crate) fn secret(mut self, value: impl AsRef<str>) -> Self {
        self.secrets.push(value.as_ref().to_owned());
        self.arg(value)
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn cmd(&self) -> &Cmd {
        &self.cmd
    }

    /// The server's `message` without the secrets: engines quote arguments in their errors, and cut them short when the command is unknown.
    pub(crate) fn scrub(&self, message: &str) -> String {
        let message = message
            .split_once(", with args beginning with")
            .map_or(message, |(told, _)| told)
            .trim_end();
        self.secrets
            .iter()
            .filter(|secret| !secret.is_empty())
            .fold(message.to_owned(), |text, secret| {
                text.replace(secret.as_str(), REDACTED)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_secret_is_replaced_and_the_rest_kept() {
        let command = Command::new("ACL SETUSER").arg("reader").secret(">hunter2");
        assert_eq!(
            command.scrub("Error in ACL SETUSER modifier '>hunter2': Syntax error"),
            "Error in ACL SETUSER modifier '[redacted]': Syntax error"
        );
    }

    #[test]
    fn arguments_of_an_unknown_command_are_cut_off() {
        let command = Command::new("ACL").secret("a-very-long-secret");
        assert_eq!(
            command.scrub("unknown command 'ACL', with args beginning with: 'a-very-lo"),
            "unknown command 'ACL'"
        );
    }
}
