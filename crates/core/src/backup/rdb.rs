//! The first bytes of an RDB file: its format, the engine that wrote it, and how many keys it has.
//!
//! Nothing of the data is read. The number of keys stands before them, as it was when the engine forked. It is that of the
//! first database, the only one that services of a bus reach.

/// Bytes within which the number of keys is looked for: before it come a few fields and the bus's functions.
pub const LONGEST_HEAD: usize = 1 << 20;

const AUX: u8 = 0xFA;
const RESIZE: u8 = 0xFB;
const SELECT: u8 = 0xFE;
const END: u8 = 0xFF;
const FUNCTION: u8 = 0xF5;

/// What the first bytes tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// `REDIS0012`.
    pub format: String,
    /// `8.0.6`.
    pub engine_version: Option<String>,
    /// Keys of the first database, those too that have expired.
    pub keys: Option<u64>,
}

/// Reads the first bytes of an RDB file. `None`: it is none.
#[must_use]
pub fn head(bytes: &[u8]) -> Option<Head> {
    let magic = bytes.get(..9)?;
    let known = magic.starts_with(b"REDIS") || magic.starts_with(b"VALKEY");
    let digits = magic.iter().rev().take(3).all(u8::is_ascii_digit);
    let format = std::str::from_utf8(magic)
        .ok()
        .filter(|_| known && digits)?;
    let mut head = Head {
        format: format.to_owned(),
        ..Head::default()
    };
    let mut rest = Bytes(bytes.get(9..)?);
    // What cannot be read, such as data of modules, leaves the number unknown.
    let _ = rest.fields(&mut head);
    Some(head)
}

struct Bytes<'a>(&'a [u8]);

/// A length, or how a string is encoded in place of one.
enum Length {
    Plain(u64),
    Encoded(u8),
}

/// A string as it is stored.
enum Text<'a> {
    Plain(&'a [u8]),
    /// As a number, or compressed.
    Packed,
}

impl<'a> Bytes<'a> {
    fn fields(&mut self, head: &mut Head) -> Option<()> {
        loop {
            match self.byte()? {
                AUX => {
                    let name = self.string()?;
                    let value = self.string()?;
                    if let (Text::Plain(b"redis-ver" | b"valkey-ver"), Text::Plain(value)) =
                        (name, value)
                    {
                        head.engine_version = std::str::from_utf8(value).ok().map(str::to_owned);
                    }
                }
                FUNCTION => {
                    self.string()?;
                }
                SELECT => {
                    self.number()?;
                }
                RESIZE => {
                    head.keys = Some(self.number()?);
                    return Some(());
                }
                END => {
                    head.keys = Some(0);
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn length(&mut self) -> Option<Length> {
        let first = self.byte()?;
        let low = u64::from(first & 0x3F);
        Some(match first >> 6 {
            0 => Length::Plain(low),
            1 => Length::Plain(low << 8 | u64::from(self.byte()?)),
            2 if first == 0x80 => {
                Length::Plain(u32::from_be_bytes(self.take(4)?.try_into().ok()?).into())
            }
            2 if first == 0x81 => Length::Plain(u64::from_be_bytes(self.take(8)?.try_into().ok()?)),
            3 => Length::Encoded(first & 0x3F),
            _ => return None,
        })
    }

    fn number(&mut self) -> Option<u64> {
        match self.length()? {
            Length::Plain(number) => Some(number),
            Length::Encoded(_) => None,
        }
    }

    fn string(&mut self) -> Option<Text<'a>> {
        match self.length()? {
            Length::Plain(length) => Some(Text::Plain(self.take(usize::try_from(length).ok()?)?)),
            Length::Encoded(kind @ 0..=2) => {
                self.take(1 << kind)?;
                Some(Text::Packed)
            }
            Length::Encoded(3) => {
                let compressed = usize::try_from(self.number()?).ok()?;
                self.number()?;
                self.take(compressed)?;
                Some(Text::Packed)
            }
            Length::Encoded(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Head, head};

    fn file(rest: &[u8]) -> Vec<u8> {
        let mut bytes = b"REDIS0012".to_vec();
        bytes.extend(b"\xFA\x09redis-ver\x058.0.6");
        bytes.extend(b"\xFA\x0Aredis-bits\xC0\x40");
        bytes.extend(b"\xFA\x08used-mem\xC2\x01\x02\x03\x04");
        bytes.extend(rest);
        bytes
    }

    fn keys(rest: &[u8]) -> Option<u64> {
        head(&file(rest)).unwrap().keys
    }

    #[test]
    fn version_and_keys_are_read() {
        let expected = Head {
            format: "REDIS0012".to_owned(),
            engine_version: Some("8.0.6".to_owned()),
            keys: Some(300),
        };
        // A compressed and a plain function stand before them.
        let rest = b"\xF5\xC3\x03\x14abc\xF5\x02ab\xFE\x00\xFB\x41\x2C\x05";
        assert_eq!(head(&file(rest)), Some(expected));
    }

    #[test]
    fn large_numbers_and_none_are_read() {
        assert_eq!(keys(b"\xFE\x00\xFB\x80\x00\x10\x00\x00\x00"), Some(1 << 20));
        assert_eq!(
            keys(b"\xFE\x00\xFB\x81\x00\x00\x00\x01\x00\x00\x00\x00\x00"),
            Some(1 << 32)
        );
        assert_eq!(keys(b"\xFFchecksum"), Some(0));
    }

    #[test]
    fn what_is_cut_off_or_foreign_leaves_the_number_open_and_what_is_none_is_none() {
        assert_eq!(keys(b"\xFE\x00\xFB\x80\x00"), None);
        assert_eq!(keys(b"\xF7\x01"), None);
        for bytes in [&b""[..], b"REDIS", b"PNG\r\n\x1a\n000", b"REDISabcd"] {
            assert_eq!(head(bytes), None);
        }
        assert_eq!(head(b"VALKEY080").unwrap().format, "VALKEY080");
    }
}
