//! Encryption by age, with the keys that are mounted.

use crate::error::BackupError;
use crate::layout::Layout;
use age::Encryptor;
use age::stream::StreamWriter;
use age::x25519::{Identity, Recipient};
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Whom backups are encrypted to, one a line.
const RECIPIENTS: &str = "recipients";
/// With what they are decrypted.
const IDENTITY: &str = "identity";

/// Turns what is read into what is stored.
pub(crate) enum Sealer {
    /// As it is.
    Plain,
    /// Encrypted.
    Age {
        writer: StreamWriter<Drain>,
        drain: Drain,
    },
}

impl Sealer {
    /// Encrypts with the mounted keys, where it shall.
    pub(crate) fn new(encrypted: bool, layout: &Layout) -> Result<Self, BackupError> {
        if !encrypted {
            return Ok(Self::Plain);
        }
        let recipients = recipients(&layout.age_dir)?;
        let recipients = recipients
            .iter()
            .map(|recipient| recipient as &dyn age::Recipient);
        let drain = Drain::default();
        let encryptor = Encryptor::with_recipients(recipients).map_err(|error| failed(&error))?;
        let writer = encryptor
            .wrap_output(drain.clone())
            .map_err(|error| failed(&error))?;
        Ok(Self::Age { writer, drain })
    }

    /// What is to be stored of these bytes now; the rest comes later.
    pub(crate) fn seal<'a>(&mut self, bytes: &'a [u8]) -> Result<Sealed<'a>, BackupError> {
        match self {
            Self::Plain => Ok(Sealed::Same(bytes)),
            Self::Age { writer, drain } => {
                writer.write_all(bytes).map_err(|error| failed(&error))?;
                Ok(Sealed::Other(drain.take()))
            }
        }
    }

    /// What is left to be stored.
    pub(crate) fn finish(self) -> Result<Vec<u8>, BackupError> {
        match self {
            Self::Plain => Ok(Vec::new()),
            Self::Age { writer, drain } => {
                writer.finish().map_err(|error| failed(&error))?;
                Ok(drain.take())
            }
        }
    }
}

/// Bytes to be stored.
pub(crate) enum Sealed<'a> {
    Same(&'a [u8]),
    Other(Vec<u8>),
}

impl AsRef<[u8]> for Sealed<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Same(bytes) => bytes,
            Self::Other(bytes) => bytes,
        }
    }
}

/// Where the encrypting writer puts what it has done.
#[derive(Clone, Default)]
pub(crate) struct Drain(Arc<Mutex<Vec<u8>>>);

impl Drain {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Drain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The mounted recipients or, where there are none, that of the mounted identity.
fn recipients(folder: &Path) -> Result<Vec<Recipient>, BackupError> {
    let path = folder.join(RECIPIENTS);
    if !path.exists() {
        return Ok(vec![identity(folder)?.to_public()]);
    }
    let text = fs::read_to_string(&path).map_err(BackupError::file("reading", path))?;
    let recipients = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::parse)
        .collect::<Result<Vec<Recipient>, _>>()
        .map_err(|why| unusable(RECIPIENTS, why))?;
    if recipients.is_empty() {
        return Err(unusable(RECIPIENTS, "it names nobody"));
    }
    Ok(recipients)
}

/// The mounted identity.
pub(crate) fn identity(folder: &Path) -> Result<Identity, BackupError> {
    let path = folder.join(IDENTITY);
    let text = fs::read_to_string(&path).map_err(BackupError::file("reading", path))?;
    let lines = text.lines().map(str::trim);
    let key = lines
        .filter(|line| !line.is_empty())
        .find(|line| !line.starts_with('#'));
    key.unwrap_or_default()
        .parse()
        .map_err(|why| unusable(IDENTITY, why))
}

fn unusable(what: &'static str, why: &str) -> BackupError {
    BackupError::Material {
        what,
        why: why.to_owned(),
    }
}

fn failed(error: &dyn std::error::Error) -> BackupError {
    BackupError::Cipher {
        action: "encrypting",
        why: error.to_string(),
    }
}
