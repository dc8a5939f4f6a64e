//! The images of the supported engines.

use std::fs;

use crate::progress::step;

use super::docker::{self, Fingerprint, docker};
use super::home::Home;
use super::roots::{self, Root};
use super::source::Source;

/// A supported engine, at a supported minor version.
#[derive(Debug)]
pub struct EngineImage {
    /// Names the engine in the operator's chart and in tests: `redis-7.0`.
    pub key: &'static str,
    public: &'static str,
    built: Built,
}

/// How the image is made from Debian packages.
#[derive(Debug)]
struct Built {
    image: &'static str,
    root: &'static Root,
    /// Programs of the other engine in the same root.
    without: Option<&'static str>,
    server: &'static str,
    version: &'static str,
}

/// Every supported engine.
pub const ENGINES: &[EngineImage] = &[
    EngineImage {
        key: "redis-7.0",
        public: "docker.io/library/redis:7.0.15",
        built: Built {
            image: "localhost/redis:7.0",
            root: &roots::REDIS_STABLE,
            without: None,
            server: "redis-server",
            version: "7.0",
        },
    },
    EngineImage {
        key: "redis-8.0",
        public: "docker.io/library/redis:8.0.6",
        built: Built {
            image: "localhost/redis:8.0",
            root: &roots::ENGINES,
            without: Some("valkey"),
            server: "redis-server",
            version: "8.0",
        },
    },
    EngineImage {
        key: "valkey-9.1",
        public: "docker.io/valkey/valkey:9.1.2",
        built: Built {
            image: "localhost/valkey:9.1",
            root: &roots::ENGINES,
            without: Some("redis"),
            server: "valkey-server",
            version: "9.1",
        },
    },
];

impl EngineImage {
    /// The image's name when it comes from `source`.
    pub const fn image(&self, source: Source) -> &'static str {
        match source {
            Source::Registry => self.public,
            Source::Packages => self.built.image,
        }
    }

    /// The name of the server's program.
    pub const fn server(&self) -> &'static str {
        self.built.server
    }

    /// Whether Docker has the image.
    pub(crate) fn is_present(&self, source: Source) -> bool {
        match source {
            Source::Registry => docker::image_id(self.public).is_some(),
            Source::Packages => docker::has(self.built.image, &self.inputs()),
        }
    }

    /// Pulls or builds the image unless it is there.
    pub(crate) fn ensure(&self, home: &Home, source: Source) -> anyhow::Result<()> {
        if self.is_present(source) {
            return Ok(());
        }
        match source {
            Source::Registry => step(format_args!("pulling {}", self.public), || {
                docker().args(["pull", "--quiet", self.public]).run()
            }),
            Source::Packages => {
                self.built.root.ensure(home)?;
                step(format_args!("building {}", self.built.image), || {
                    let scratch = home.scratch("engine")?;
                    fs::write(scratch.path().join("Dockerfile"), self.built.dockerfile())?;
                    docker::build(self.built.image, scratch.path(), &self.inputs())
                })
            }
        }
    }

    /// What the built image is made from.
    pub(crate) fn inputs(&self) -> Fingerprint {
        Fingerprint::of([
            self.built.dockerfile().as_str(),
            self.built.root.inputs().as_str(),
        ])
    }
}

impl Built {
    /// Fails in the build when Debian has moved on to another minor version.
    fn dockerfile(&self) -> String {
        let Self {
            root,
            server,
            version,
            ..
        } = self;
        let remove = self
            .without
            .map(|other| format!("RUN rm -f /usr/bin/{other}-*\n"))
            .unwrap_or_default();
        let pattern = version.replace('.', "\\.");
        format!(
            "FROM {}\n{remove}RUN {server} --version | grep 'v={pattern}\\.' || \
             {{ echo 'Debian {} has no {server} {version} any more' >&2; exit 1; }}\n\
             CMD [\"{server}\"]\n",
            root.image,
            root.suite(),
        )
    }
}
