//! A running server that a person has us use: whether it may be, and what makes it known for one that was.

use crate::alone::capabilities;
use crate::error::DevError;
use cachebus_admin::{Credentials, Engine, Info, Role, Server};
use cachebus_api::engine::EngineKind;
use cachebus_core::credentials::OPERATOR;
use cachebus_core::engine::Capabilities;
use cachebus_core::functions;
use url::Url;

/// A library by which a server is known again: it outlives FLUSHALL, and is in the server's files like the data.
const MARKER: &str = "cachebus_dev";
const MARKER_CODE: &str = "#!lua name=cachebus_dev\n\
     redis.register_function{function_name='cachebus_dev', callback=function() return 1 end, flags={'no-writes'}}\n";

const DEFAULT_PORT: u16 = 6379;
const DEFAULT_USER: &str = "default";

/// Where a running server is, and who may administer it.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) credentials: Option<Credentials>,
}

impl Address {
    /// The address that a URL says. Errors do not quote it: it may hold a password.
    pub(crate) fn parse(url: &str) -> Result<Self, DevError> {
        let url = Url::parse(url).map_err(|_| DevError::Connect("it is no URL"))?;
        if url.scheme() != "redis" {
            return Err(DevError::Connect(
                "only redis:// can be used: a server for development speaks plain text",
            ));
        }
        if !matches!(url.path(), "" | "/" | "/0") {
            return Err(DevError::Connect("a bus is in database 0"));
        }
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or(DevError::Connect("it names no host"))?;
        let decoded = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8()
                .map(String::from)
                .map_err(|_| DevError::Connect("its user or password is no text"))
        };
        let credentials = match url.password() {
            Some(password) => {
                let user = decoded(url.username())?;
                let user = if user.is_empty() {
                    DEFAULT_USER.to_owned()
                } else {
                    user
                };
                Some(Credentials::new(user, decoded(password)?))
            }
            None if url.username().is_empty() => None,
            None => return Err(DevError::Connect("it names a user and no password")),
        };
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(DEFAULT_PORT),
            credentials,
        })
    }

    /// The server's release and what it can do; an error where it must not be used.
    pub(crate) async fn accepted(
        &self,
        server: &Server,
    ) -> Result<(String, &'static Capabilities), DevError> {
        let refused = |why: String| DevError::ServerRefused {
            address: server.endpoint().address.to_string(),
            why,
        };
        let info = server.info().await?;
        let kind = match info.engine {
            Engine::Redis => EngineKind::Redis,
            Engine::Valkey => EngineKind::Valkey,
        };
        let engine = capabilities(kind, &info.version);
        let engine =
            engine.ok_or_else(|| refused(format!("{kind:?} {} is too old", info.version)))?;
        if !matches!(server.role().await?, Role::Primary { .. }) {
            return Err(refused("it is a replica".to_owned()));
        }
        let users = server.acl().users().await?;
        let marked = server.functions().code(MARKER).await?.is_some();
        let has_library = server.functions().code(functions::NAME).await?.is_some();
        if !marked && (has_library || users.iter().any(|user| user == OPERATOR)) {
            return Err(refused("it belongs to a CacheBus".to_owned()));
        }
        if !marked && let Some(keys) = keys(&info) {
            return Err(refused(format!(
                "it holds {keys} keys, and was not set up by `cachebus dev`"
            )));
        }
        Ok((info.version, engine))
    }

    /// Makes the server known for one that may be used again.
    pub(crate) async fn mark(&self, server: &Server) -> Result<(), DevError> {
        if server.functions().code(MARKER).await?.as_deref() != Some(MARKER_CODE) {
            server.functions().load(MARKER_CODE).await?;
        }
        Ok(())
    }

    /// Takes everything from the server that there has been since it was empty: these users, all data, and the libraries.
    pub(crate) async fn clear(&self, server: &Server, users: &[String]) -> Result<(), DevError> {
        for user in users {
            server.acl().del_user(user).await?;
        }
        server.flush_all().await?;
        server.functions().delete(functions::NAME).await?;
        // The last: until here it may be begun anew.
        server.functions().delete(MARKER).await?;
        Ok(())
    }
}

/// Keys of all databases, if there are any.
fn keys(info: &Info) -> Option<u64> {
    let keys = info.keyspace.values().map(|database| database.keys).sum();
    (keys > 0).then_some(keys)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_url_names_a_server_and_who_administers_it() {
        let address = Address::parse("redis://localhost").unwrap();
        assert_eq!((address.host.as_str(), address.port), ("localhost", 6379));
        assert_eq!(address.credentials, None);
        let address = Address::parse("redis://:p%40ss@[::1]:7000/0").unwrap();
        assert_eq!((address.host.as_str(), address.port), ("::1", 7000));
        assert_eq!(
            address.credentials,
            Some(Credentials::new("default", "p@ss"))
        );
        let address = Address::parse("redis://me:pw@h").unwrap();
        assert_eq!(address.credentials, Some(Credentials::new("me", "pw")));
    }

    #[test]
    fn what_names_none_is_refused_without_being_quoted() {
        for url in [
            "hunter2",
            "rediss://me:hunter2@h",
            "redis://me:hunter2@h/3",
            "redis://hunter2@h",
            "redis://",
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }
}
