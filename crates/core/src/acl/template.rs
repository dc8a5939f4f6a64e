//! Key templates and the patterns that grant them.
//!
//! A template is `agents:all` or `task:{id}`. Its *literal prefix* is what comes before the first placeholder (`task:`), or
//! the whole key where there is none. **A key belongs to the keyspace with the longest literal prefix that it begins
//! with** (that it equals, where the keyspace has no placeholder). So with the keyspaces `task:{id}` and
//! `task:result:{id}` the key `task:result:7` belongs to the second only, although the engines' globs would take it for
//! one of `task:*`; a service with rights on the first alone must not reach it.
//!
//! Globs have no exclusion, so the patterns for a template spell out its complement: `task:*` without `task:result:*` is
//! `task:[^r]*`, `task:r`, `task:r[^e]*`, … . A placeholder is `?*`: globs cannot say "without `:`", so keys that are
//! instances of no keyspace at all (`task:7:x`) fall to the template whose prefix they have.
//!
//! Keyspaces with the same literal prefix must differ in what follows (`user:{id}:profile`, `user:{id}:settings`);
//! `user:{id}` beside them [overlaps](Template::overlaps), and the spec is refused.

use super::glob::{Glob, Token, behind, escape, literal, none_of};
use std::collections::{BTreeMap, BTreeSet};

/// A key template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    prefix: String,
    /// What follows the first placeholder's begin; `None`: the template is one key.
    tail: Option<Glob>,
}

impl Template {
    /// Reads a template of the form that the schema allows.
    pub(crate) fn parse(text: &str) -> Self {
        let Some((prefix, mut rest)) = text.split_once('{') else {
            return Self {
                prefix: text.to_owned(),
                tail: None,
            };
        };
        let mut tail = Glob::default();
        tail.placeholder();
        while let Some((_, after)) = rest.split_once('}') {
            let Some((between, next)) = after.split_once('{') else {
                tail.literal(after);
                break;
            };
            tail.literal(between);
            tail.placeholder();
            rest = next;
        }
        Self {
            prefix: prefix.to_owned(),
            tail: Some(tail),
        }
    }

    /// Whether it is one key.
    pub(crate) fn is_whole(&self) -> bool {
        self.tail.is_none()
    }

    /// Length of its literal prefix, where the key begins with that, or is it.
    pub(crate) fn claim(&self, key: &[u8]) -> Option<usize> {
        let prefix = self.prefix.as_bytes();
        let claims = if self.is_whole() {
            key == prefix
        } else {
            key.starts_with(prefix)
        };
        claims.then_some(prefix.len())
    }

    /// Whether a key that it claims is of its form.
    pub(crate) fn matches(&self, key: &[u8]) -> bool {
        let rest = key.strip_prefix(self.prefix.as_bytes());
        rest.is_some_and(|rest| match &self.tail {
            Some(tail) => tail.matches(rest),
            None => rest.is_empty(),
        })
    }

    /// A glob that all keys of templates match, but of those that are one key; `None`: there are no others.
    pub(crate) fn pattern<'a>(templates: impl Iterator<Item = &'a Self>) -> Option<String> {
        let mut prefixes = templates
            .filter(|template| !template.is_whole())
            .map(|template| template.prefix.as_str());
        let first = prefixes.next()?;
        Some(format!("{}*", literal(prefixes.fold(first, common))))
    }

    /// Whether there may be a key of which nobody can say to which of the two it belongs.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.prefix == other.prefix
            && match (&self.tail, &other.tail) {
                (Some(a), Some(b)) => a.meets(b),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            }
    }

    /// Whether keys that this template's globs match may belong to the other.
    fn contains(&self, other: &Self) -> bool {
        self.tail.is_some()
            && other.prefix.starts_with(&self.prefix)
            && (other.tail.is_none() || other.prefix.len() > self.prefix.len())
    }

    /// Globs for the keys of this template, without those that belong to `others`.
    fn globs(&self, others: &[&Self]) -> BTreeSet<String> {
        let Some(tail) = &self.tail else {
            return BTreeSet::from([literal(&self.prefix)]);
        };
        let mut excluded = Excluded::default();
        for other in others.iter().filter(|other| self.contains(other)) {
            excluded.insert(&other.prefix[self.prefix.len()..], other.tail.is_some());
        }
        let mut globs = BTreeSet::new();
        excluded.spare(
            &literal(&self.prefix),
            &BTreeSet::from([tail.clone()]),
            &mut globs,
        );
        globs
    }
}

/// What both begin with.
fn common<'a>(one: &'a str, other: &str) -> &'a str {
    let same = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b);
    one.get(..same.count()).unwrap_or_default()
}

/// Globs for exactly the keys that belong to `granted` and not to any of the rest of `all`.
pub(crate) fn globs(granted: &[&Template], all: &[&Template]) -> BTreeSet<String> {
    let others: Vec<&Template> = all
        .iter()
        .filter(|template| !granted.contains(template))
        .copied()
        .collect();
    granted
        .iter()
        .flat_map(|template| template.globs(&others))
        .collect()
}

/// Texts that a match must not be, or not begin with, by character.
#[derive(Debug, Default)]
struct Excluded {
    /// The text up to here is excluded.
    whole: bool,
    /// Every text that begins with that up to here is excluded.
    beginning: bool,
    next: BTreeMap<char, Excluded>,
}

impl Excluded {
    fn insert(&mut self, text: &str, beginning: bool) {
        let node = text.chars().fold(self, |node, character| {
            node.next.entry(character).or_default()
        });
        if beginning {
            node.beginning = true;
        } else {
            node.whole = true;
        }
    }

    /// Adds to `spared` what `tails` match behind `walked`, without what is excluded.
    fn spare(&self, walked: &str, tails: &BTreeSet<Glob>, spared: &mut BTreeSet<String>) {
        if self.beginning {
            return;
        }
        if self.next.is_empty() && !self.whole {
            spared.extend(behind(walked, tails));
            return;
        }
        if !self.whole && tails.iter().any(Glob::matches_empty) {
            spared.insert(walked.to_owned());
        }
        let mut within: BTreeMap<char, BTreeSet<Glob>> = BTreeMap::new();
        for (head, tail) in tails.iter().flat_map(Glob::steps) {
            match head {
                Token::Literal(character) if self.next.contains_key(&character) => {
                    within.entry(character).or_default().insert(tail);
                }
                Token::Literal(character) => {
                    spared.insert(format!("{walked}{}{}", escape(character), tail.text()));
                }
                Token::Any | Token::Star => {
                    spared.insert(format!(
                        "{walked}{}{}",
                        none_of(self.next.keys()),
                        tail.text()
                    ));
                    for character in self.next.keys() {
                        within.entry(*character).or_default().insert(tail.clone());
                    }
                }
            }
        }
        for (character, tails) in &within {
            if let Some(next) = self.next.get(character) {
                next.spare(&format!("{walked}{}", escape(*character)), tails, spared);
            }
        }
    }
}
