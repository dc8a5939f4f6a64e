//! A server that is a bus: users, functions, settings and bindings as a file says.

use crate::alone::{HOST, alone, changes, directives};
use crate::error::DevError;
use crate::given::Address;
use crate::options::Options;
use crate::program::{Process, Program, connect, end_left_behind, free_port};
use crate::state::State;
use cachebus_admin::{AclChange, AclFile, AclLedger, Credentials as Login, Secret, Server, diff};
use cachebus_core::acl;
use cachebus_core::binding;
use cachebus_core::bus::Bus;
use cachebus_core::config::conf_text;
use cachebus_core::credentials::{
    Credentials, INTERNAL_USERS, OPERATOR, Password, StoredSecrets, draw, settle,
};
use cachebus_core::engine::Capabilities;
use cachebus_core::functions::{self, Verdict, verdict};
use std::path::Path;

const USERS: &str = "users.acl";
const CONF: &str = "server.conf";
/// How often another port is tried where somebody was quicker.
const ATTEMPTS: usize = 3;

/// A server that is a bus.
pub(crate) struct Session {
    state: State,
    server: Server,
    kind: Kind,
    host: String,
    port: u16,
    login: Option<Login>,
    engine: &'static Capabilities,
    release: String,
    ledger: AclLedger,
    /// Users that were set in this session.
    services: Vec<String>,
}

/// Whose the server is.
enum Kind {
    Own { process: Process, keep: bool },
    Given(Address),
}

/// What was not as the file says, and is now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) set: Vec<String>,
    pub(crate) removed: Vec<String>,
    pub(crate) settings: Vec<String>,
    /// The function library was loaded.
    pub(crate) library: bool,
}

impl Session {
    /// Starts a server, or takes the one that is named, and makes it the bus.
    pub(crate) async fn open(options: &Options, state: State, bus: &Bus) -> Result<Self, DevError> {
        let mut session = match &options.connect {
            Some(url) => Self::given(state, Address::parse(url)?).await?,
            None => Self::own(options, state, bus).await?,
        };
        session.apply(bus).await?;
        Ok(session)
    }

    async fn own(options: &Options, state: State, bus: &Bus) -> Result<Self, DevError> {
        let program = Program::find(options.server.as_deref(), bus.spec.engine.kind).await?;
        let engine = program.engine;
        let bus = alone(bus, engine, options.keep);
        let credentials = credentials(&state, &bus, true)?;
        let operator = credentials.passwords.get(OPERATOR).map(Password::expose);
        let login = Login::new(OPERATOR, Secret::new(operator.unwrap_or_default()));
        if let Some(port) = state.port() {
            end_left_behind(port, &login).await;
        }
        let users = state.write(USERS, &acl::files(&bus, &credentials).redis)?;
        let data = if options.keep {
            state.data()?
        } else {
            state.path("")
        };
        let mut attempt = 0;
        let (port, process, server) = loop {
            attempt += 1;
            let port = match options.port {
                Some(port) => port,
                None => free_port(state.port().filter(|_| attempt == 1))?,
            };
            let directives = directives(&bus, port, text(&data)?, text(&users)?);
            let directives = directives
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()));
            let conf = state.write(CONF, &conf_text(directives))?;
            match program.start(&state, &conf, port, &login).await {
                Ok((process, server)) => break (port, process, server),
                Err(DevError::ServerEnded { log, .. })
                    if options.port.is_none() && log.contains("in use") && attempt < ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        };
        state.keep_port(port)?;
        Ok(Self {
            state,
            server,
            kind: Kind::Own {
                process,
                keep: options.keep,
            },
            host: HOST.to_owned(),
            port,
            login: Some(login),
            engine,
            release: program.release,
            ledger: AclLedger::new(),
            services: Vec::new(),
        })
    }

    async fn given(state: State, address: Address) -> Result<Self, DevError> {
        let login = address.credentials.clone();
        let server = connect(&address.host, address.port, login.as_ref()).await?;
        let (release, engine) = address.accepted(&server).await?;
        address.mark(&server).await?;
        Ok(Self {
            state,
            server,
            host: address.host.clone(),
            port: address.port,
            login,
            kind: Kind::Given(address),
            engine,
            release,
            ledger: AclLedger::new(),
            services: Vec::new(),
        })
    }

    /// Brings the server in line with the file's bus. Nothing is undone where that fails: the next time goes on from there.
    pub(crate) async fn apply(&mut self, bus: &Bus) -> Result<Applied, DevError> {
        let (own, keep) = match self.kind {
            Kind::Own { keep, .. } => (true, keep),
            Kind::Given(_) => (false, false),
        };
        let bus = alone(bus, self.engine, keep);
        if self.server.is_closed() {
            self.server = connect(&self.host, self.port, self.login.as_ref()).await?;
        }
        let known = self.state.passwords()?;
        let credentials = credentials(&self.state, &bus, own)?;
        let text = acl::files(&bus, &credentials).redis;
        let users = self.users(&text, |user| known.contains_key(user)).await?;
        if own {
            // The server reads it when it starts again.
            self.state.write(USERS, &text)?;
        }
        let library = self.library().await?;
        let settings = self.settings(&bus, own).await?;
        let services = bus.spec.services.iter();
        let bindings = services.filter_map(|service| {
            let password = credentials.passwords.get(&service.name)?;
            let entries = binding::alone(&bus, service, password, &self.host, self.port);
            Some((service.name.as_str(), entries))
        });
        self.state.bind(bindings)?;
        Ok(Applied {
            settings,
            library,
            ..users
        })
    }

    /// Users of a server that was given are its owner's, but for those that were `ours`.
    async fn users(
        &mut self,
        text: &str,
        ours: impl Fn(&str) -> bool,
    ) -> Result<Applied, DevError> {
        // Written by `acl::files` a moment ago: it is one.
        let Ok(desired) = AclFile::parse(text) else {
            return Ok(Applied::default());
        };
        let live = self.server.acl().list().await?;
        let mut changes = diff(&desired, &live, &self.ledger);
        if let Kind::Given(_) = self.kind {
            changes.retain(|change| match change {
                AclChange::Set { user, .. } => user != "default",
                AclChange::Delete { user } => ours(user),
            });
        }
        let mut report = self.server.acl().apply(&changes, &mut self.ledger).await?;
        if let Some((user, source)) = report.failed.pop() {
            return Err(DevError::User { user, source });
        }
        self.services.extend(report.set.iter().cloned());
        Ok(Applied {
            set: report.set,
            removed: report.deleted,
            ..Applied::default()
        })
    }

    async fn library(&self) -> Result<bool, DevError> {
        let functions = self.server.functions();
        let served = functions.code(functions::NAME).await?;
        let load = verdict(served.as_deref()) == Verdict::Load;
        if load {
            functions.load(functions::LIBRARY).await?;
        }
        Ok(load)
    }

    async fn settings(&self, bus: &Bus, own: bool) -> Result<Vec<String>, DevError> {
        let live = self.server.config_get_all().await?;
        let changes = changes(bus, &live, own);
        let pairs: Vec<(&str, &str)> = changes
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        if !pairs.is_empty() {
            self.server.config_set(&pairs).await?;
        }
        Ok(changes.into_keys().collect())
    }

    /// Whether the server has ended the connection: it was started anew, perhaps, or let it go for being idle.
    pub(crate) fn is_closed(&self) -> bool {
        self.server.is_closed()
    }

    /// Returns when a server that was started here has ended by itself, with the error that this is.
    pub(crate) async fn ended(&mut self) -> DevError {
        match &mut self.kind {
            Kind::Own { process, .. } => process.ended(&self.state).await,
            Kind::Given(_) => std::future::pending().await,
        }
    }

    /// Ends what was started. What stays of a server that was given stays usable, and its bindings with it.
    pub(crate) async fn close(self) -> Result<(), DevError> {
        match self.kind {
            Kind::Own { process, .. } => process.stop().await,
            Kind::Given(_) => Ok(()),
        }
    }

    /// Ends what was started, and takes everything away that was made.
    pub(crate) async fn remove(mut self) -> Result<(), DevError> {
        if self.is_closed() && matches!(self.kind, Kind::Given(_)) {
            self.server = connect(&self.host, self.port, self.login.as_ref()).await?;
        }
        match self.kind {
            Kind::Own { process, .. } => process.stop().await,
            Kind::Given(address) => address.clear(&self.server, &self.services).await,
        }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// What runs, and where.
    pub(crate) fn place(&self) -> String {
        let address = &self.server.endpoint().address;
        format!("{:?} {} on {address}", self.engine.kind, self.release)
    }

    /// What a person might miss: how far this server is from the one that the file asks for.
    pub(crate) fn differs_from(&self, bus: &Bus) -> Option<String> {
        let wanted = &bus.spec.engine;
        let line = cachebus_core::engine::line(&self.release);
        (wanted.kind != self.engine.kind || wanted.version != line)
            .then(|| format!("the file asks for {:?} {}", wanted.kind, wanted.version))
    }
}

/// The passwords that there have been, and new ones for whom there was none. Internal users but the one that administers have
/// nobody here to use them, and that one only a server that was started here.
fn credentials(state: &State, bus: &Bus, own: bool) -> Result<Credentials, DevError> {
    let mut kept = state.passwords()?;
    let stored = StoredSecrets {
        credentials: Some(kept.clone()),
        ..StoredSecrets::default()
    };
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut missing = false;
    let mut credentials = settle(bus, &stored, &mut || {
        let random = provider.secure_random;
        draw(&mut |bytes| random.fill(bytes)).unwrap_or_else(|_| {
            missing = true;
            Password::new(String::new())
        })
    });
    if missing {
        return Err(DevError::NoRandomness);
    }
    let needless = |user: &str| INTERNAL_USERS.contains(&user) && !(own && user == OPERATOR);
    credentials.passwords.retain(|user, _| !needless(user));
    kept.extend(credentials.passwords.clone());
    state.keep_passwords(&kept)?;
    Ok(credentials)
}

fn text(path: &Path) -> Result<&str, DevError> {
    path.to_str().ok_or_else(|| {
        let source = std::io::Error::other("the path is no text");
        DevError::file("using", path)(source)
    })
}
