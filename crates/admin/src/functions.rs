//! Function libraries.

use std::fmt;

use redis::{Value, from_redis_value};

use crate::{command::Command, connection::Connection, error::Error};

/// The function libraries of one connected server. They are replicated, and kept in its files.
#[derive(Clone, Copy)]
pub struct Functions<'a> {
    connection: &'a Connection,
}

impl fmt::Debug for Functions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Functions")
            .field(&self.connection.endpoint().address)
            .finish()
    }
}

impl<'a> Functions<'a> {
    pub(crate) fn new(connection: &'a Connection) -> Self {
        Self { connection }
    }

    /// The text of the library of this name; `None`: there is none.
    pub async fn code(&self, library: &str) -> Result<Option<String>, Error> {
        let command = Command::new("FUNCTION LIST").args(["LIBRARYNAME", library, "WITHCODE"]);
        let name = command.name();
        let libraries: Vec<Value> = self.connection.call(command).await?;
        let Some(only) = libraries.into_iter().next() else {
            return Ok(None);
        };
        let code = code_of(only).ok_or_else(|| {
            self.connection
                .unexpected(name, "a library and its library_code")
        })?;
        Ok(Some(code))
    }

    /// Loads a library, in the place of one of the same name. All or nothing; refused on a replica.
    pub async fn load(&self, code: &str) -> Result<(), Error> {
        let command = Command::new("FUNCTION LOAD").arg("REPLACE").arg(code);
        let _name: String = self.connection.call(command).await?;
        Ok(())
    }

    /// Removes a library. Refused where there is none of this name, and on a replica.
    pub async fn delete(&self, library: &str) -> Result<(), Error> {
        let command = Command::new("FUNCTION DELETE").arg(library);
        self.connection.call(command).await
    }
}

/// `library_code` of an entry, which is a list of names and values, or a map in the newer protocol.
fn code_of(library: Value) -> Option<String> {
    let mut pairs = library.into_map_iter().ok()?;
    let (_, code) = pairs.find(|(name, _)| {
        from_redis_value::<String>(name.clone()).is_ok_and(|name| name == "library_code")
    })?;
    from_redis_value(code).ok()
}
