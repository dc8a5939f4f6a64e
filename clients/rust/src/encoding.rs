//! Values as bytes that every language can read. `functions/vectors/values.json` holds examples.
//!
//! | first byte | what follows |
//! | --- | --- |
//! | `0x01` | MessagePack |
//! | `0x02` | zlib (RFC 1950) of an encoded value that is not zlib itself |
//! | any other | is the first of the JSON text, UTF-8 |

use std::borrow::Cow;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// What a compressed value may grow to, in bytes.
pub const MAX_DECODED_BYTES: u64 = 64 * 1024 * 1024;

/// What a keyspace stores at most for one value, in bytes, where nothing else is said.
pub const DEFAULT_MAX_BYTES: usize = 1024 * 1024;

const MESSAGE_PACK: u8 = 0x01;
const ZLIB: u8 = 0x02;

/// How values are written. Read is every form, whatever is written.
///
/// ```
/// use cachebus::Encoding;
///
/// let encoding = Encoding::message_pack().compress_above(4096);
/// let bytes = encoding.encode(&["a", "b"])?;
/// assert_eq!(cachebus::decode::<Vec<String>>(&bytes)?, ["a", "b"]);
/// # Ok::<(), cachebus::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    form: Form,
    compress_above: Option<usize>,
    max_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    MessagePack,
}

impl Default for Encoding {
    fn default() -> Self {
        Self::json()
    }
}

impl Encoding {
    /// JSON, not compressed, at most [`DEFAULT_MAX_BYTES`]. Numbers that are none (NaN) become `null`.
    pub const fn json() -> Self {
        Self {
            form: Form::Json,
            compress_above: None,
            max_bytes: DEFAULT_MAX_BYTES,
        }
    }

    /// `MessagePack`, structs as maps by field name; otherwise as [`Encoding::json`].
    pub const fn message_pack() -> Self {
        Self {
            form: Form::MessagePack,
            ..Self::json()
        }
    }

    /// Compresses what has more bytes than this, where that makes it shorter.
    #[must_use]
    pub const fn compress_above(mut self, bytes: usize) -> Self {
        self.compress_above = Some(bytes);
        self
    }

    /// Refuses what has more bytes than this after compression.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The bytes of a value: [`Error::ValueInvalid`] for what the form does not know, [`Error::ValueTooLarge`] above the limit.
    /// O(size).
    pub fn encode<T: Serialize + ?Sized>(&self, value: &T) -> Result<Vec<u8>> {
        let mut data = match self.form {
            Form::Json => serde_json::to_vec(value).map_err(|_| no_value("JSON"))?,
            Form::MessagePack => packed(value)?,
        };
        if self
            .compress_above
            .is_some_and(|threshold| data.len() > threshold)
        {
            let compressed = deflated(&data)?;
            if compressed.len() < data.len() {
                data = compressed;
            }
        }
        if data.len() > self.max_bytes {
            return Err(Error::ValueTooLarge {
                bytes: data.len(),
                limit: self.max_bytes,
            });
        }
        Ok(data)
    }
}

/// The value of bytes in any of the forms; [`Error::ValueInvalid`] where they hold no `T`. O(size).
pub fn decode<T: DeserializeOwned>(data: &[u8]) -> Result<T> {
    decode_plain(&plain(data)?)
}

/// The value, or `None` for a `null`, which says that there is nothing.
pub(crate) fn decode_unless_null<T: DeserializeOwned>(data: &[u8]) -> Result<Option<T>> {
    let plain = plain(data)?;
    if is_null(&plain) {
        return Ok(None);
    }
    decode_plain(&plain).map(Some)
}

/// Whether bytes that were encoded without compression say that there is nothing.
pub(crate) fn is_null(data: &[u8]) -> bool {
    data == [MESSAGE_PACK, 0xc0] || data.trim_ascii() == b"null"
}

fn decode_plain<T: DeserializeOwned>(data: &[u8]) -> Result<T> {
    match data.split_first() {
        Some((&MESSAGE_PACK, packed)) => {
            let mut reader = rmp_serde::Deserializer::new(packed).with_human_readable();
            let value = T::deserialize(&mut reader).map_err(|_| unreadable())?;
            reader
                .get_ref()
                .is_empty()
                .then_some(value)
                .ok_or_else(unreadable)
        }
        _ => serde_json::from_slice(data).map_err(|_| unreadable()),
    }
}

fn plain(data: &[u8]) -> Result<Cow<'_, [u8]>> {
    let Some((&ZLIB, compressed)) = data.split_first() else {
        return Ok(data.into());
    };
    let inflated = inflated(compressed, MAX_DECODED_BYTES)?;
    if inflated.first() == Some(&ZLIB) {
        return Err(unreadable());
    }
    Ok(inflated.into())
}

fn packed<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    let mut data = vec![MESSAGE_PACK];
    let mut writer = rmp_serde::Serializer::new(&mut data)
        .with_struct_map()
        .with_human_readable();
    value
        .serialize(&mut writer)
        .map_err(|_| no_value("MessagePack"))?;
    Ok(data)
}

fn deflated(data: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(vec![ZLIB], Compression::default());
    encoder
        .write_all(data)
        .and_then(|()| encoder.finish())
        .map_err(|_| Error::ValueInvalid("the value cannot be compressed".to_owned()))
}

fn inflated(compressed: &[u8], limit: u64) -> Result<Vec<u8>> {
    let mut decoder = ZlibDecoder::new(compressed);
    let mut data = Vec::new();
    decoder
        .by_ref()
        .take(limit + 1)
        .read_to_end(&mut data)
        .map_err(|_| unreadable())?;
    let whole = data.len() as u64 <= limit && decoder.into_inner().is_empty();
    whole.then_some(data).ok_or_else(unreadable)
}

fn no_value(form: &str) -> Error {
    Error::ValueInvalid(format!("the value is not {form}"))
}

fn unreadable() -> Error {
    Error::ValueInvalid("the stored bytes are no such value".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Agent {
        name: String,
        address: std::net::IpAddr,
        state: State,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum State {
        Idle,
        Busy { task: u64 },
    }

    fn agent() -> Agent {
        Agent {
            name: "x".repeat(100),
            address: [127, 0, 0, 1].into(),
            state: State::Busy { task: 7 },
        }
    }

    #[test]
    fn both_forms_hold_the_same_plain_value() {
        let json = Encoding::json().encode(&agent()).unwrap();
        let packed = Encoding::message_pack().encode(&agent()).unwrap();
        let plain: serde_json::Value = decode(&json).unwrap();
        assert_eq!(decode::<serde_json::Value>(&packed).unwrap(), plain);
        assert_eq!(plain["state"]["Busy"]["task"], 7);
        assert_eq!(plain["address"], "127.0.0.1");
        for data in [json, packed] {
            assert_eq!(decode::<Agent>(&data).unwrap(), agent());
        }
    }

    #[test]
    fn a_unit_variant_is_read_from_both_forms() {
        for encoding in [Encoding::json(), Encoding::message_pack()] {
            let data = encoding.encode(&State::Idle).unwrap();
            assert_eq!(decode::<State>(&data).unwrap(), State::Idle);
        }
    }

    #[test]
    fn compression_is_for_what_gets_shorter() {
        for encoding in [Encoding::json(), Encoding::message_pack()] {
            let data = encoding.compress_above(50).encode(&agent()).unwrap();
            assert_eq!(data[0], ZLIB);
            assert!(data.len() < 110, "{}", data.len());
            assert_eq!(decode::<Agent>(&data).unwrap(), agent());
            let data = encoding.compress_above(500).encode(&agent()).unwrap();
            assert_ne!(data[0], ZLIB);
        }
        let short = Encoding::json().compress_above(1).encode("abc").unwrap();
        assert_eq!(short, b"\"abc\"");
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let encoding = Encoding::json().max_bytes(5);
        assert_eq!(encoding.encode("abc").unwrap(), b"\"abc\"");
        let error = encoding.encode("abcd").unwrap_err();
        assert!(
            matches!(error, Error::ValueTooLarge { bytes: 6, limit: 5 }),
            "{error}"
        );
    }

    #[test]
    fn what_grows_too_much_is_refused() {
        let data = deflated(&[b' '; 10_000]).unwrap();
        assert!(inflated(&data[1..], 10_000).is_ok());
        assert!(inflated(&data[1..], 9_999).is_err());
    }

    #[test]
    fn null_says_that_there_is_nothing() {
        for encoding in [Encoding::json(), Encoding::message_pack()] {
            let data = encoding.encode(&None::<u8>).unwrap();
            assert!(is_null(&data));
            assert_eq!(decode_unless_null::<u8>(&data).unwrap(), None);
        }
        assert_eq!(decode_unless_null::<u8>(b"7").unwrap(), Some(7));
    }
}
