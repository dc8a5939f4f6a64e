//! The mounted binding Secret, one file for each entry.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

/// What a service is told of its bus.
pub struct Binding {
    /// Where to connect and as whom, with the password.
    pub uri: String,
    pub username: String,
    pub password: String,
    /// `None`: the bus speaks plain text.
    pub authority: Option<Vec<u8>>,
    /// Host and port of each Sentinel.
    pub sentinels: Vec<(String, u16)>,
    pub master_name: String,
}

impl Binding {
    /// Reads the entries of a mounted folder.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let entry = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
        };
        let uri = entry("uri")?;
        let authority = if uri.starts_with("rediss://") {
            Some(entry("ca.crt")?.into_bytes())
        } else {
            None
        };
        Ok(Self {
            username: entry("username")?,
            password: entry("password")?,
            sentinels: entry("sentinels")?
                .split(',')
                .map(host_and_port)
                .collect::<anyhow::Result<_>>()?,
            master_name: entry("master-name")?,
            uri,
            authority,
        })
    }
}

fn host_and_port(text: &str) -> anyhow::Result<(String, u16)> {
    let (host, port) = text
        .trim()
        .rsplit_once(':')
        .with_context(|| format!("{text:?} is no host:port"))?;
    Ok((host.to_owned(), port.parse()?))
}
