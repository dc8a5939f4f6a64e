//! The tail of a key template as the engines' globs see it.

use std::collections::BTreeSet;

/// One step of a glob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Token {
    /// This character.
    Literal(char),
    /// One character.
    Any,
    /// Any number of characters.
    Star,
}

/// A glob without its leading literal part.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Glob(Vec<Token>);

/// What the first character of a match may be, and the glob for what follows it.
pub(super) type Step = (Token, Glob);

impl Glob {
    pub(super) fn literal(&mut self, text: &str) {
        self.0.extend(text.chars().map(Token::Literal));
    }

    /// At least one character. Globs cannot say "without `:`".
    pub(super) fn placeholder(&mut self) {
        self.0.extend([Token::Any, Token::Star]);
    }

    /// Whether the empty text matches.
    pub(super) fn matches_empty(&self) -> bool {
        self.0.iter().all(|token| *token == Token::Star)
    }

    /// Whether these bytes match.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        let (mut token, mut at) = (0, 0);
        // What follows the last star, and where that has been tried.
        let mut tried = None;
        while at < text.len() {
            match self.0.get(token) {
                Some(Token::Star) => {
                    token += 1;
                    tried = Some((token, at));
                    continue;
                }
                Some(Token::Any) => {}
                Some(Token::Literal(character)) if u32::from(*character) == u32::from(text[at]) => {
                }
                _ => {
                    let Some((after, from)) = tried else {
                        return false;
                    };
                    (token, at) = (after, from + 1);
                    tried = Some((token, at));
                    continue;
                }
            }
            token += 1;
            at += 1;
        }
        self.0[token..].iter().all(|token| *token == Token::Star)
    }

    /// Every way in which a match may begin.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut rest = self.0.as_slice();
        while let Some((first, tail)) = rest.split_first() {
            match first {
                Token::Star => {
                    steps.push((Token::Any, Self(rest.to_vec())));
                    rest = tail;
                }
                head => {
                    steps.push((*head, Self(tail.to_vec())));
                    break;
                }
            }
        }
        steps
    }

    /// Whether some text matches both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let (a, b) = (&self.0, &other.0);
        // common[i][j]: some text matches both a[i..] and b[j..].
        let mut common = vec![vec![false; b.len() + 1]; a.len() + 1];
        for i in (0..=a.len()).rev() {
            for j in (0..=b.len()).rev() {
                common[i][j] = match (a.get(i), b.get(j)) {
                    (None, None) => true,
                    (Some(Token::Star), _) => common[i + 1][j] || (j < b.len() && common[i][j + 1]),
                    (_, Some(Token::Star)) => common[i][j + 1] || (i < a.len() && common[i + 1][j]),
                    (Some(x), Some(y)) => {
                        (x == y || *x == Token::Any || *y == Token::Any) && common[i + 1][j + 1]
                    }
                    (None, Some(_)) | (Some(_), None) => false,
                };
            }
        }
        common[0][0]
    }

    /// The glob as engines write it.
    pub(super) fn text(&self) -> String {
        self.0
            .iter()
            .map(|token| match token {
                Token::Literal(character) => escape(*character),
                Token::Any => "?".to_owned(),
                Token::Star => "*".to_owned(),
            })
            .collect()
    }
}

/// One character other than these; one of any kind where there are none.
pub(super) fn none_of<'a>(characters: impl Iterator<Item = &'a char>) -> String {
    let listed: String = characters.map(|character| escape(*character)).collect();
    if listed.is_empty() {
        "?".to_owned()
    } else {
        format!("[^{listed}]")
    }
}

/// A character that stands for itself, inside brackets and outside of them.
pub(super) fn escape(character: char) -> String {
    if matches!(character, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
        format!("\\{character}")
    } else {
        character.to_string()
    }
}

/// A whole text that stands for itself.
pub(super) fn literal(text: &str) -> String {
    text.chars().map(escape).collect()
}

/// Texts for a set of globs behind a common beginning.
pub(super) fn behind(beginning: &str, globs: &BTreeSet<Glob>) -> impl Iterator<Item = String> {
    globs
        .iter()
        .map(move |glob| format!("{beginning}{}", glob.text()))
}
