//! All rules of a user, in one form for equal rights.

use std::{collections::BTreeSet, fmt};

use super::selector::Selector;

/// Two lists of rules that are equal here mean the same to every engine. The reverse does not hold: engines rewrite lists that mix `+`
/// and `-`, and 7.0 expands categories, which is what the ledger is for.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Rules {
    enabled: bool,
    any_password: bool,
    password_hashes: BTreeSet<String>,
    skips_payload_check: bool,
    root: Selector,
    selectors: BTreeSet<Selector>,
    unknown: Vec<String>,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("enabled", &self.enabled)
            .field("any_password", &self.any_password)
            .field("passwords", &self.password_hashes.len())
            .field("root", &self.root)
            .field("selectors", &self.selectors)
            .finish_non_exhaustive()
    }
}

impl Rules {
    /// The rules as they are after a `reset`.
    pub(super) fn of<R: AsRef<str>>(rules: &[R]) -> Self {
        let mut read = Self::default();
        for rule in rules {
            read.take(rule.as_ref());
        }
        read
    }

    fn take(&mut self, rule: &str) {
        match rule {
            "on" => self.enabled = true,
            "off" => self.enabled = false,
            "nopass" => {
                self.password_hashes.clear();
                self.any_password = true;
            }
            "resetpass" => {
                self.password_hashes.clear();
                self.any_password = false;
            }
            "sanitize-payload" => self.skips_payload_check = false,
            "skip-sanitize-payload" => self.skips_payload_check = true,
            "clearselectors" => self.selectors.clear(),
            "reset" => *self = Self::default(),
            _ => self.take_value(rule),
        }
    }

    fn take_value(&mut self, rule: &str) {
        if let Some(hash) = rule.strip_prefix('#') {
            self.password_hashes.insert(hash.to_owned());
            self.any_password = false;
        } else if let Some(hash) = rule.strip_prefix('!') {
            self.password_hashes.remove(hash);
        } else if let Some(inner) = rule.strip_prefix('(').and_then(|r| r.strip_suffix(')')) {
            let mut selector = Selector::default();
            let unknown = inner
                .split_ascii_whitespace()
                .filter(|rule| !selector.take(rule));
            self.unknown
                .extend(unknown.map(str::to_owned).collect::<Vec<_>>());
            self.selectors.insert(selector);
        } else if !self.root.take(rule) {
            self.unknown.push(rule.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        let read = |line: &str| {
            super::super::file::split_line(line)
                .and_then(|(_, rules)| rules)
                .map(|rules| Rules::of(&rules))
        };
        read(&format!("user x {a}")) == read(&format!("user x {b}"))
    }

    #[test]
    fn what_engines_list_equals_what_they_were_told() {
        for (told, listed) in [
            ("off", "off sanitize-payload resetchannels -@all"),
            (
                "on nopass allkeys allchannels allcommands",
                "on nopass ~* &* +@all",
            ),
            (
                "on #aa %R~b:* ~a:* &y &x -@all +get +CONFIG|GET",
                "on sanitize-payload #aa ~a:* %R~b:* resetchannels &x &y -@all +config|get +get",
            ),
            ("on %RW~a %R~b %W~b", "on ~a ~b resetchannels -@all"),
            (
                "on (+set ~b) (%R~c &x +get)",
                "on resetchannels -@all (%R~c resetchannels &x -@all +get) (~b resetchannels -@all +set)",
            ),
            ("on +@all -debug -acl", "on resetchannels +@all -acl -debug"),
            ("on +client|id +client", "on +client"),
        ] {
            assert!(same(told, listed), "{told} / {listed}");
        }
    }

    #[test]
    fn a_difference_in_rights_is_a_difference() {
        for (a, b) in [
            ("on", "off"),
            ("on #aa", "on #bb"),
            ("on #aa", "on nopass"),
            ("on ~a", "on %R~a"),
            ("on %R~* ~a", "on %R~*"),
            ("on &a", "on &b"),
            ("on +get", "on +set"),
            ("on +@all -get", "on -get +@all"),
            ("on +@read -get", "on -get +@read"),
            ("on +client -client|id", "on -client|id +client"),
            ("on ~a (~b +get)", "on ~a ~b +get"),
            ("on +get", "on +get skip-sanitize-payload"),
            ("on", "on some-future-flag"),
        ] {
            assert!(!same(a, b), "{a} / {b}");
        }
    }
}
