//! Keys from templates, as the contract writes them.

use std::borrow::Cow;

use crate::error::{Error, Result};

/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 1024;

/// The value of one placeholder: text, or a whole number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part(Cow<'static, str>);

impl From<&str> for Part {
    fn from(text: &str) -> Self {
        Self(text.to_owned().into())
    }
}

impl From<&String> for Part {
    fn from(text: &String) -> Self {
        Self(text.clone().into())
    }
}

impl From<String> for Part {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

/// What fills in a template: nothing (`()`) for a key without placeholders, one [`Part`], or all of them by name.
///
/// ```
/// use cachebus::Parts;
///
/// let one: Parts = 7.into();
/// let named = Parts::named([("service", "api"), ("name", "p99")]);
/// let mixed = Parts::named([("agent", "a1")]).and("id", 7);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts(Given);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Given {
    None,
    One(Part),
    Named(Vec<(Cow<'static, str>, Part)>),
}

impl Parts {
    /// Placeholders by their names.
    pub fn named<N, P>(parts: impl IntoIterator<Item = (N, P)>) -> Self
    where
        N: Into<Cow<'static, str>>,
        P: Into<Part>,
    {
        Self(Given::Named(
            parts
                .into_iter()
                .map(|(name, part)| (name.into(), part.into()))
                .collect(),
        ))
    }

    /// One more by its name. What was given without a name is forgotten.
    #[must_use]
    pub fn and(self, name: impl Into<Cow<'static, str>>, part: impl Into<Part>) -> Self {
        let mut named = match self.0 {
            Given::Named(named) => named,
            Given::None | Given::One(_) => Vec::new(),
        };
        named.push((name.into(), part.into()));
        Self(Given::Named(named))
    }

    /// The part of this name. One that was given without a name is of any.
    pub fn get(&self, name: &str) -> Option<&str> {
        match &self.0 {
            Given::None => None,
            Given::One(part) => Some(&part.0),
            Given::Named(named) => named
                .iter()
                .find(|(given, _)| given == name)
                .map(|(_, part)| part.0.as_ref()),
        }
    }
}

impl From<()> for Parts {
    fn from((): ()) -> Self {
        Self(Given::None)
    }
}

impl<N: Into<Cow<'static, str>>, P: Into<Part>, const COUNT: usize> From<[(N, P); COUNT]>
    for Parts
{
    fn from(parts: [(N, P); COUNT]) -> Self {
        Self::named(parts)
    }
}

impl From<Part> for Parts {
    fn from(part: Part) -> Self {
        Self(Given::One(part))
    }
}

macro_rules! one_part {
    ($($text:ty),*) => {$(
        impl From<$text> for Parts {
            fn from(part: $text) -> Self {
                Part::from(part).into()
            }
        }
    )*};
}

macro_rules! whole_numbers {
    ($($number:ty),*) => {$(
        impl From<$number> for Part {
            fn from(number: $number) -> Self {
                Self(number.to_string().into())
            }
        }
        one_part!($number);
    )*};
}

one_part!(&str, &String, String);
whole_numbers!(
    u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize
);

/// `agents:all` or `knowledge:{agent}:{id}`. A placeholder is one non-empty part without `:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Placeholder(String),
}

impl Template {
    /// Reads a template of a contract.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let pieces = text
            .split(':')
            .map(|piece| match placeholder(piece) {
                Some(name) => Piece::Placeholder(name.to_owned()),
                None => Piece::Literal(piece.to_owned()),
            })
            .collect();
        Self { text, pieces }
    }

    /// As the contract writes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Names of the placeholders, in their order.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Placeholder(name) => Some(name.as_str()),
            Piece::Literal(_) => None,
        })
    }

    /// The key for these parts; [`Error::KeyInvalid`] where they do not fit.
    pub fn key(&self, parts: impl Into<Parts>) -> Result<String> {
        let parts = parts.into();
        self.check_names(&parts)?;
        let key = self.filled(
            |name| {
                parts
                    .get(name)
                    .map(Cow::Borrowed)
                    .ok_or_else(|| self.takes())
            },
            Cow::Borrowed,
        )?;
        if key.len() > MAX_KEY_BYTES {
            return Err(self.invalid(format_args!("a key has at most {MAX_KEY_BYTES} bytes")));
        }
        Ok(key)
    }

    /// A glob for `SCAN`. Parts may hold `*` and `?`; those left out are `*`.
    pub fn pattern(&self, parts: impl Into<Parts>) -> Result<String> {
        let parts = parts.into();
        self.check_names(&parts)?;
        self.filled(
            |name| Ok(Cow::Borrowed(parts.get(name).unwrap_or("*"))),
            escaped,
        )
    }

    /// Whether a key is one of this template's. Globs let a placeholder span colons: this does not.
    pub fn matches(&self, key: &str) -> bool {
        let mut parts = key.split(':');
        let each = self.pieces.iter().all(|piece| match piece {
            Piece::Literal(literal) => parts.next() == Some(literal),
            Piece::Placeholder(_) => parts.next().is_some_and(|part| !part.is_empty()),
        });
        each && parts.next().is_none()
    }

    /// The parts of a key of this template, by their names.
    pub(crate) fn parts(&self, key: &str) -> Parts {
        let pieces = std::iter::zip(&self.pieces, key.split(':'));
        let named = pieces.filter_map(|(piece, part)| match piece {
            Piece::Placeholder(name) => Some((name.clone(), part)),
            Piece::Literal(_) => None,
        });
        Parts::named(named)
    }

    fn filled<'a>(
        &'a self,
        part: impl Fn(&'a str) -> Result<Cow<'a, str>>,
        literal: impl Fn(&'a str) -> Cow<'a, str>,
    ) -> Result<String> {
        let mut filled = String::with_capacity(self.text.len() + 16);
        for (index, piece) in self.pieces.iter().enumerate() {
            if index > 0 {
                filled.push(':');
            }
            match piece {
                Piece::Literal(text) => filled.push_str(&literal(text)),
                Piece::Placeholder(name) => {
                    let text = part(name)?;
                    if text.is_empty() || text.contains(':') {
                        return Err(self.invalid(format_args!("{name} is empty or holds a colon")));
                    }
                    filled.push_str(&text);
                }
            }
        }
        Ok(filled)
    }

    fn check_names(&self, parts: &Parts) -> Result<()> {
        match &parts.0 {
            Given::None => Ok(()),
            Given::One(_) if self.placeholders().count() == 1 => Ok(()),
            Given::One(_) if self.placeholders().count() > 1 => {
                Err(self.invalid(format_args!("parts have to be named")))
            }
            Given::One(_) => Err(self.takes()),
            Given::Named(named) => {
                let known = |name: &str| self.placeholders().any(|placeholder| placeholder == name);
                if named.iter().all(|(name, _)| known(name)) {
                    Ok(())
                } else {
                    Err(self.takes())
                }
            }
        }
    }

    fn takes(&self) -> Error {
        let names: Vec<&str> = self.placeholders().collect();
        if names.is_empty() {
            self.invalid(format_args!("takes no parts"))
        } else {
            self.invalid(format_args!("takes {}", names.join(", ")))
        }
    }

    fn invalid(&self, why: std::fmt::Arguments<'_>) -> Error {
        Error::KeyInvalid(format!("{}: {why}", self.text))
    }
}

fn placeholder(piece: &str) -> Option<&str> {
    let name = piece.strip_prefix('{')?.strip_suffix('}')?;
    let mut characters = name.chars();
    let begins = characters.next()?.is_ascii_lowercase();
    let goes_on = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (begins && characters.all(goes_on)).then_some(name)
}

fn escaped(literal: &str) -> Cow<'_, str> {
    const SPECIAL: [char; 7] = ['*', '?', '[', ']', '^', '\\', '-'];
    if !literal.contains(SPECIAL) {
        return literal.into();
    }
    let mut escaped = String::with_capacity(literal.len() + 4);
    for character in literal.chars() {
        if SPECIAL.contains(&character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped.into()
}
