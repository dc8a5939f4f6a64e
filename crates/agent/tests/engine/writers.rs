//! Clients that write all the time, and one that watches who leads.

use crate::bus::{Bus, PASSWORD, TESTER};
use cachebus_admin::{Credentials, Endpoint, Role, Sentinel, Server, TlsContext};
use cachebus_core::names::Component;
use rustls::pki_types::ServerName;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::client::TlsStream;

/// Between two writes of a writer.
const PACE: Duration = Duration::from_millis(4);
/// Longer than any pause, and than an answer on a busy machine.
const ANSWER: Duration = Duration::from_secs(20);

/// What everybody needs to connect.
#[derive(Clone)]
pub struct Access {
    nodes: Vec<String>,
    sentinels: Vec<String>,
    ports: (u16, u16),
    authority: String,
}

impl Access {
    pub fn to(bus: &Bus) -> Self {
        let hosts = |component| (0..3).map(|ordinal| bus.fqdn(component, ordinal)).collect();
        Self {
            nodes: hosts(Component::Redis),
            sentinels: hosts(Component::Sentinel),
            ports: (bus.config.port, bus.config.sentinel_port),
            authority: bus.authority.pem().to_owned(),
        }
    }

    fn endpoint(&self, host: &str, port: u16) -> Endpoint {
        let tls = TlsContext::new(self.authority.as_bytes(), None).unwrap();
        Endpoint::new(host, port)
            .with_tls(Arc::new(tls))
            .with_deadline(ANSWER)
    }

    pub async fn node(&self, ordinal: usize) -> Result<Server, cachebus_admin::Error> {
        let endpoint = self.endpoint(&self.nodes[ordinal], self.ports.0);
        Server::connect(&endpoint, Some(&tester())).await
    }

    pub async fn sentinel(&self, ordinal: usize) -> Result<Sentinel, cachebus_admin::Error> {
        let endpoint = self.endpoint(&self.sentinels[ordinal], self.ports.1);
        Sentinel::connect(&endpoint, Some(&tester())).await
    }

    /// What a Sentinel answers to a command, as one who may do all.
    pub async fn tell_sentinel(&self, ordinal: usize, command: &str) -> String {
        let line = self.line(&self.sentinels[ordinal], self.ports.1).await;
        line.unwrap().ask(command).await.unwrap()
    }

    async fn line_to_node(&self, host: &str) -> io::Result<Line> {
        self.line(host, self.ports.0).await
    }

    async fn line(&self, host: &str, port: u16) -> io::Result<Line> {
        use rustls_pki_types::pem::PemObject;
        let mut roots = rustls::RootCertStore::empty();
        let authority = self.authority.as_bytes();
        roots
            .add(rustls_pki_types::CertificateDer::from_pem_slice(authority).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await?;
        let mut line = Line(BufReader::new(stream));
        let answer = line.ask(&format!("AUTH {TESTER} {PASSWORD}")).await?;
        assert_eq!(answer, "+OK");
        Ok(line)
    }
}

fn tester() -> Credentials {
    Credentials::new(TESTER, PASSWORD)
}

/// A connection for commands that are answered by one line.
struct Line(BufReader<TlsStream<TcpStream>>);

impl Line {
    async fn ask(&mut self, command: &str) -> io::Result<String> {
        let exchange = async {
            self.0
                .get_mut()
                .write_all(format!("{command}\r\n").as_bytes())
                .await?;
            let mut answer = String::new();
            if self.0.read_line(&mut answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(answer.trim_end().to_owned())
        };
        timeout(ANSWER, exchange)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

/// What a writer has seen.
#[derive(Debug, Default)]
pub struct Written {
    /// Keys whose write was acknowledged.
    pub keys: Vec<String>,
    /// Longest time between two acknowledgements.
    pub gap: Duration,
    /// What else it was told, and how often.
    pub errors: BTreeMap<String, u64>,
}

/// Writers that find the primary through Sentinel, and a watch over who leads.
pub struct Writers {
    access: Access,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<Written>>,
    roles: JoinHandle<u64>,
}

impl Writers {
    /// Starts them, and returns when each has written.
    pub async fn start(access: &Access, name: &str, count: usize) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (wrote, mut written) = tokio::sync::mpsc::channel(count);
        let tasks = (0..count).map(|index| {
            let writer = Writer {
                access: access.clone(),
                prefix: format!("{name}:{index}"),
                sentinel: index % 3,
                wrote: wrote.clone(),
            };
            tokio::spawn(writer.run(stopped.clone()))
        });
        let writers = Self {
            tasks: tasks.collect(),
            roles: tokio::spawn(watch_roles(access.clone(), stopped.clone())),
            access: access.clone(),
            stop,
        };
        for _ in 0..count {
            timeout(ANSWER, written.recv()).await.unwrap().unwrap();
        }
        writers
    }

    /// Ends them, and checks what must hold in every planned handover: what was acknowledged is on the node that leads now, and no
    /// two led at once.
    pub async fn finish(self, leads: usize) -> Vec<Written> {
        let (all, lost) = self.end(leads).await;
        assert_eq!(lost, 0, "acknowledged writes are lost");
        all
    }

    /// The same after a crash. What the server acknowledged in the last turn of its loop may have died with it before a replica was
    /// sent it: one write of each at most, since none writes again before it has an answer.
    pub async fn finish_after_crash(self, leads: usize) -> Vec<Written> {
        let (all, lost) = self.end(leads).await;
        assert!(lost <= all.len(), "{lost} acknowledged writes are lost");
        all
    }

    /// Ends them. What each has written, and how much of what was acknowledged is not on this node.
    async fn end(self, leads: usize) -> (Vec<Written>, usize) {
        self.stop.send_replace(true);
        let mut all = Vec::new();
        for task in self.tasks {
            all.push(task.await.unwrap());
        }
        assert_eq!(self.roles.await.unwrap(), 0, "two led at once");
        let mut line = self
            .access
            .line_to_node(&self.access.nodes[leads])
            .await
            .unwrap();
        let mut lost = 0;
        for key in all.iter().flat_map(|written| &written.keys) {
            lost += usize::from(line.ask(&format!("EXISTS {key}")).await.unwrap() != ":1");
        }
        (all, lost)
    }
}

struct Writer {
    access: Access,
    prefix: String,
    sentinel: usize,
    wrote: tokio::sync::mpsc::Sender<()>,
}

impl Writer {
    async fn run(self, stop: watch::Receiver<bool>) -> Written {
        let mut written = Written::default();
        let mut sentinel = self.access.sentinel(self.sentinel).await.unwrap();
        let masters = sentinel.masters().await.unwrap();
        let name = masters[0].name.clone();
        let mut connection: Option<Line> = None;
        let mut last: Option<Instant> = None;
        for number in 0_u64.. {
            if *stop.borrow() {
                break;
            }
            if connection.is_none() {
                if sentinel.is_closed() {
                    sentinel = self.access.sentinel(self.sentinel).await.unwrap();
                }
                let primary = sentinel.primary_address(&name).await.unwrap().unwrap();
                connection = self.access.line_to_node(&primary.host).await.ok();
            }
            let key = format!("{}:{number}", self.prefix);
            let Some(line) = &mut connection else {
                sleep(PACE).await;
                continue;
            };
            let answer = line.ask(&format!("SET {key} 1")).await;
            match answer {
                Ok(answer) if answer == "+OK" => {
                    let now = Instant::now();
                    if let Some(last) = last.replace(now) {
                        written.gap = written.gap.max(now - last);
                    } else {
                        self.wrote.send(()).await.unwrap();
                    }
                    written.keys.push(key);
                }
                // A key is never written twice: what became of it may stay unknown.
                other => {
                    connection = None;
                    let told = other.unwrap_or_else(|error| format!("broken: {}", error.kind()));
                    let word = told.split(' ').next().unwrap().to_owned();
                    *written.errors.entry(word).or_default() += 1;
                }
            }
            sleep(PACE).await;
        }
        written
    }
}

/// How often two were seen to lead at once: one, then another, then the first one again.
async fn watch_roles(access: Access, stop: watch::Receiver<bool>) -> u64 {
    let mut nodes: Vec<Option<Server>> = vec![None, None, None];
    let mut twice = 0;
    while !*stop.borrow() {
        let mut leading = Vec::new();
        for ordinal in 0..nodes.len() {
            if leads(&access, &mut nodes, ordinal).await {
                leading.push(ordinal);
            }
        }
        if leading.len() > 1 && leads(&access, &mut nodes, leading[0]).await {
            twice += 1;
        }
        sleep(Duration::from_millis(1)).await;
    }
    twice
}

async fn leads(access: &Access, nodes: &mut [Option<Server>], ordinal: usize) -> bool {
    let node = &mut nodes[ordinal];
    if node.as_ref().is_none_or(Server::is_closed) {
        *node = access.node(ordinal).await.ok();
    }
    match node {
        Some(server) => matches!(server.role().await, Ok(Role::Primary { .. })),
        None => false,
    }
}
